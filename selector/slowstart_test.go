package selector

import (
	"fmt"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func TestANewcomerStartsSlowly(t *testing.T) {
	for _, p := range []Policy{P2C, WeightedRoundRobin, Random, Locality, ConsistentHash} {
		opts := []Option{WithPolicy(p), WithSlowStart(30 * time.Second)}
		if p == Locality {
			opts = append(opts, WithZone("a"))
		}
		inBubble(t, 9, func(t *testing.T, s *Selector, _ *world) {
			share := func(key string) float64 {
				n, got := 0, 0
				for i := range 20_000 {
					k, p := s.choose(t.Context(), i)
					if k == key {
						got++
					}
					p.done(health.NotSent, 0)
					n++
				}
				return float64(got) / float64(n)
			}
			want := func(key string, least, most float64) {
				t.Helper()
				if p == ConsistentHash { // an arc of the ring is not exactly a tenth
					least, most = least*0.6, most*1.6
				}
				if got := share(key); got < least || got > most {
					t.Errorf("%v: a share of %.3f, want %.3f to %.3f", p, got, least, most)
				}
			}
			want(nth(0), 1./9-0.03, 1./9+0.03) // the first list does not start slowly
			s.UpdateServer(fleet(10, unweighted))
			pass(20 * time.Millisecond)
			wantState(t, s, nth(9), Up)
			want(nth(9), 0.004, 0.020) // a tenth of a tenth
			pass(15 * time.Second)
			want(nth(9), 0.04, 0.07) // 55 % of it
			pass(15 * time.Second)
			want(nth(9), 0.085, 0.115)
			if s.main.table.Load().ramped > 0 {
				t.Error("still starting")
			}
		}, opts...)
	}
}

func TestWhoComesFromAFileDoesNotStartSlowly(t *testing.T) {
	inBubble(t, 9, func(t *testing.T, s *Selector, _ *world) {
		s.UpdateServer(fleet(10, unweighted))
		pass(20 * time.Millisecond)
		if s.main.table.Load().ramped > 0 {
			t.Error("starts slowly")
		}
	}, WithSlowStart(30*time.Second), WithLive(func() bool { return false }))
}

// A client that starts later than a server knows that it is warm, and one that starts just after it knows that it is not.
func TestSlowStartGoesByTheServersOwnAge(t *testing.T) {
	for _, c := range []struct {
		what    string
		started time.Duration // before the client sees it
		share   float64       // at once
		after   time.Duration // after which it has its share
	}{
		{"it has just started", 0, 0.1, 30 * time.Second},
		{"it has started a while ago", 15 * time.Second, 0.55, 15 * time.Second},
		{"it is warm", time.Hour, 1, 0},
		{"its clock is ahead", -time.Hour, 0.1, 30 * time.Second},
	} {
		t.Run(c.what, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, s *Selector, _ *world) {
				started := fmt.Sprint("started=", time.Now().Add(-c.started).Unix())
				s.UpdateServer(fleet(10, func(i int) string { return []string{"", started}[i/9] })) // it is in the first list
				pass(20 * time.Millisecond)
				share := func() float64 {
					got := picked(t, s, 20_000)
					return float64(got[nth(9)]) / 2000
				}
				if got := share(); got < 0.75*c.share-0.02 || got > 1.25*c.share+0.02 {
					t.Errorf("it has %.2f of its share, want %.2f", got, c.share)
				}
				pass(c.after + time.Second)
				if got := share(); got < 0.9 || got > 1.1 {
					t.Errorf("later it has %.2f of its share", got)
				}
			}, WithPolicy(Random), WithSlowStart(30*time.Second))
		})
	}
}

// What another group has was in no first list, and so all of it began slowly: with ConsistentHash its keys went anywhere for that time.
func TestTheFirstListOfAGroupDoesNotStartSlowly(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *Selector, _ *world) {
		pass(time.Hour)
		a := s.newView(settings{known: true, option: client.Option{Group: "a"}})
		a.UpdateServer(servers(nth(7), nth(8)))
		pass(time.Second)
		if a.roster.table.Load().ramped > 0 {
			t.Error("it does")
		}
		a.UpdateServer(servers(nth(7), nth(8), nth(9)))
		pass(time.Second)
		if a.roster.table.Load().ramped == 0 {
			t.Error("a newcomer of its list does not")
		}
	}, WithSlowStart(time.Minute))
}

// With ConsistentHash a newcomer that passed the key on left nobody, and the backup went to the server of its request.
func TestABackupGoesToAnotherServerAlsoIfThatStartsSlowly(t *testing.T) {
	for _, p := range []Policy{P2C, WeightedRoundRobin, ConsistentHash, Random} {
		inBubble(t, 1, func(t *testing.T, s *Selector, _ *world) {
			s.UpdateServer(fleet(2, unweighted))
			pass(100 * time.Millisecond)
			wantState(t, s, nth(1), Up)
			for i := range 500 {
				h := after(t, s, nth(0))
				if key := s.Select(h, "Arith", "Mul", i); key != nth(1) {
					t.Fatalf("%v: it goes to %s", p, key)
				}
				h.release(true)
			}
		}, WithPolicy(p), WithSlowStart(time.Hour))
	}
}
