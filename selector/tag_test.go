package selector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// canaries are the first two of ten.
func canaries(i int) string { return []string{"tag=canary", ""}[min(i/2, 1)] }

func TestATagDecidesWhichServersAnswer(t *testing.T) {
	for p := range Policy(5) {
		opts := []Option{WithPolicy(p)}
		if p == Locality {
			opts = append(opts, WithZone("a"))
		}
		for _, only := range []bool{false, true} {
			if only {
				opts = append(opts, WithOnlyTagged())
			}
			t.Run(fmt.Sprintf("%v, only %v", p, only), func(t *testing.T) {
				inBubble(t, 0, func(t *testing.T, s *Selector, w *world) {
					s.UpdateServer(fleet(10, canaries))
					pass(100 * time.Millisecond)
					who := func(tag string) string {
						got := map[string]int{}
						ctx := WithTag(t.Context(), tag)
						for i := range 300 {
							key := s.Select(ctx, "Arith", "Mul", i)
							switch {
							case key == "":
								got["nobody"]++
							case s.of(t, key).Tag == "canary":
								got["canaries"]++
							default:
								got["others"]++
							}
						}
						var names []string
						for _, name := range []string{"canaries", "others", "nobody"} {
							if got[name] > 0 {
								names = append(names, name)
							}
						}
						return strings.Join(names, ", ")
					}
					want := func(when, tag, want string) {
						t.Helper()
						if got := who(tag); got != want {
							t.Errorf("%s, calls with the tag %q go to %s, want %s", when, tag, got, want)
						}
					}
					fallback := map[bool]string{false: "others", true: "canaries"}[only]
					want("when all are well", "canary", "canaries")
					want("when all are well", "", "others")
					want("of a tag that nobody has", "green", map[bool]string{false: "others", true: "nobody"}[only])
					for i := range 2 {
						w.kill(nth(i))
						fail(t, s, nth(i), health.Undialled, 1)
					}
					want("when the canaries are dead", "canary", fallback)
					want("when the canaries are dead", "", "others")
					w.revive(nth(0), nth(1))
					pass(2 * time.Second)
					for i := range 2 {
						fail(t, s, nth(i), health.Answered, 1)
					}
					for i := 2; i < 10; i++ {
						w.kill(nth(i))
						fail(t, s, nth(i), health.Undialled, 1)
					}
					want("when only canaries live", "", "canaries")
					want("when only canaries live", "canary", "canaries")
				}, opts...)
			})
		}
	}
}

func TestTaggedCallsOfARealXClient(t *testing.T) {
	plain, canary := startNode(t), startNode(t)
	d := &labelled{newDiscovery(), map[string]string{plain.key: "", canary.key: "tag=canary"}}
	s := mustNew(t)
	xc := NewXClient("Kelp", client.Failover, d, client.DefaultOption, s)
	defer xc.Close()
	ready(t, s) // before, all calls go to the one that is tried
	for range 20 {
		for tag, n := range map[string]*node{"": plain, "canary": canary} {
			var reply string
			if err := xc.Call(WithTag(t.Context(), tag), "Greet", &question, &reply); err != nil || reply != n.name {
				t.Fatalf("tag %q: %q, %v, want %q", tag, reply, err, n.name)
			}
		}
	}
}

// While nobody could be used, the server that all calls went to was one for all tags.
func TestWhereNobodyCanBeUsedATagStillDecides(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, s *Selector, w *world) {
		for i := range 4 {
			w.kill(nth(i))
		}
		s.UpdateServer(fleet(4, canaries))
		pass(2 * time.Second)
		canary := WithTag(t.Context(), "canary")
		for i := range 40 {
			plain := s.Select(t.Context(), "Arith", "Mul", i)
			tagged := s.Select(canary, "Arith", "Mul", i)
			if s.of(t, plain).Tag != "" || s.of(t, tagged).Tag != "canary" {
				t.Fatalf("a call without a tag goes to %s, one with a tag to %s", plain, tagged)
			}
			pass(100 * time.Millisecond)
		}
	}, WithOnlyTagged())
}

// A tag for each build left something behind for ever.
func TestNothingIsKeptOfTagsThatAreGone(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, s *Selector, _ *world) {
		for i := range 100 {
			s.UpdateServer(map[string]string{nth(0): fmt.Sprintf("tag=build-%d", i), nth(1): ""})
		}
		if n := len(s.main.lanes); n != 2 {
			t.Errorf("it knows of %d tags, the empty one with them, and one of two servers has one", n)
		}
	}, WithPolicy(WeightedRoundRobin))
}
