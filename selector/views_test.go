package selector

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
	"github.com/holdfast-go/holdfast/tests/bubbles"
)

func listed(s *Selector) []string {
	var keys []string
	for _, srv := range s.Status().Servers {
		keys = append(keys, srv.Key)
	}
	return keys
}

func servers(keys ...string) map[string]string {
	m := map[string]string{}
	for _, key := range keys {
		m[key] = ""
	}
	return m
}

var ofRPCX = settings{known: true}

// The members of a pool receive the same lists, each at its own time.
func TestOfXClientsThatShareAListOneLeads(t *testing.T) {
	s := mustNew(t)
	want := func(keys ...string) {
		t.Helper()
		if got := listed(s); !slices.Equal(got, keys) {
			t.Errorf("the selector has %v, want %v", got, keys)
		}
	}
	first, second, third := s.newView(ofRPCX), s.newView(ofRPCX), s.newView(ofRPCX)
	for _, v := range []*view{first, second, third} {
		v.UpdateServer(servers("a"))
	}
	first.UpdateServer(servers("a", "b"))
	first.UpdateServer(servers("b"))
	want("b")
	second.UpdateServer(servers("a", "b")) // a is long gone
	want("b")
	third.UpdateServer(servers("c"))
	want("b")

	// A member that is just being made has yet to hear of anybody.
	s.newView(ofRPCX).UpdateServer(servers())
	want("b")

	second.UpdateServer(servers("b", "c"))
	first.close()
	want("b", "c") // that of the one that has received a list last
	first.UpdateServer(servers("z"))
	third.UpdateServer(servers("d"))
	want("b", "c")
	second.UpdateServer(servers())
	want()
}

func TestTheLastListStaysWhenAllXClientsAreClosed(t *testing.T) {
	s := mustNew(t)
	v := s.newView(ofRPCX)
	v.UpdateServer(servers("a"))
	v.close()
	if got := listed(s); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the selector has %v", got)
	}
	// Row 12: an XClient that comes later, and whose list is empty, was taken for one that knows nobody yet.
	later := s.newView(ofRPCX)
	later.UpdateServer(servers())
	if got := listed(s); len(got) > 0 {
		t.Errorf("the selector has %v, of which the XClient that is there knows nothing", got)
	}
}

func TestASelectorThatOutlivesItsXClientsHasTheListOfWhoIsThereNow(t *testing.T) {
	n := startNode(t)
	s := mustNew(t)
	xc := NewXClient("Kelp", client.Failfast, newDiscovery(n.key), client.DefaultOption, s)
	ready(t, s)
	_ = xc.Close()
	xc = NewXClient("Kelp", client.Failfast, newDiscovery(), client.DefaultOption, s)
	defer xc.Close()
	if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != client.ErrXClientNoServer { //nolint:errorlint // as rpcx returns it
		t.Errorf("a call where nobody is listed: %v", err)
	}
}

// Row 8: on a shared Selector the group of one XClient was obeyed for another's.
func TestEachXClientCallsTheServersOfItsOwnGroup(t *testing.T) {
	byGroup := map[string]*node{"a": startNode(t), "b": startNode(t)}
	d := &labelled{newDiscovery(), map[string]string{}}
	for group, n := range byGroup {
		d.data[n.key] = "group=" + group
	}
	d.set(slices.Collect(maps.Keys(d.data))...)
	s := mustNew(t)
	o := client.DefaultOption
	xs := map[string]client.XClient{}
	for _, group := range []string{"a", "b", ""} {
		o.Group = group
		xs[group] = Wrap(client.NewXClient("Kelp", client.Failfast, client.SelectByUser, d, o), s)
		defer xs[group].Close()
	}
	ready(t, s)
	for range 20 {
		for group, n := range byGroup {
			var reply string
			if err := xs[group].Call(t.Context(), "Greet", &question, &reply); err != nil || reply != n.name {
				t.Fatalf("group %s: %q, %v, want %q", group, reply, err, n.name)
			}
		}
		if err := xs[""].Call(t.Context(), "Greet", &question, new(string)); err != nil {
			t.Fatal(err)
		}
	}
	if got := listed(s); len(got) != 2 {
		t.Errorf("the Selector knows %v, want the union", got)
	}
	_ = xs[""].Close()
	_ = xs["a"].Close()
	if err := xs["b"].Call(t.Context(), "Greet", &question, new(string)); err != nil {
		t.Error(err)
	}
}

// labelled is a discovery with metadata.
type labelled struct {
	*discovery
	data map[string]string
}

func (d *labelled) GetServices() (pairs []*client.KVPair) {
	for key, data := range d.data {
		pairs = append(pairs, &client.KVPair{Key: key, Value: data})
	}
	return pairs
}

func (d *labelled) WatchService() chan []*client.KVPair { return nil }

// A second Close took the servers that two groups share from the other group, too.
func TestAnXClientOfAGroupMayBeClosedTwice(t *testing.T) {
	s := mustNew(t)
	grouped := settings{known: true, option: client.Option{Group: "a"}}
	main, a := s.newView(ofRPCX), s.newView(grouped)
	main.UpdateServer(servers("x", "y"))
	a.UpdateServer(servers("x"))
	a.close()
	a.close()
	if got := listed(s); strings.Join(got, " ") != "x y" {
		t.Errorf("the selector has %v, and the other XClient x and y", got)
	}
}

// Random lists, of XClients that come and go in three groups. The Selector knows the union of the leaders' lists, counts for each server who lists it,
// and each XClient is given the servers of its own group's list.
func TestEachGroupHasItsListWhateverComesAndGoes(t *testing.T) {
	for seed := range uint64(50) {
		bubbles.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			s := mustNew(t, WithPolicy(Policy(seed%3)), WithProbing(Probing{Probe: func(context.Context, string, string) error { return nil }}))
			var open, shut []*view
			for range 200 {
				switch op := r.IntN(6); {
				case op == 0 && len(open) < 8:
					open = append(open, s.newView(settings{known: r.IntN(8) > 0, option: client.Option{Group: []string{"", "a", "b"}[r.IntN(3)]}}))
				case op <= 3 && len(open) > 0:
					list := map[string]string{}
					for range r.IntN(6) {
						list[nth(r.IntN(10))] = []string{"", "weight=3", "started=1700000000", "tag=canary"}[r.IntN(4)]
					}
					open[r.IntN(len(open))].UpdateServer(list)
				case op == 4 && len(open) > 0:
					i := r.IntN(len(open))
					open[i].close()
					shut, open = append(shut, open[i]), slices.Delete(open, i, i+1)
				case len(shut) > 0:
					v := shut[r.IntN(len(shut))]
					v.close()
					v.UpdateServer(servers(nth(99)))
				}
				if r.IntN(10) == 0 {
					pass(time.Duration(r.IntN(40)) * time.Second)
				}
				want, lists := map[string]int{}, map[*roster]bool{s.main: true}
				for _, v := range open {
					lists[v.roster] = true
					key := v.Select(t.Context(), "Arith", "Mul", nil)
					if l := v.roster.leader; l == nil && key != "" && v.roster != s.main || l != nil && !slices.Contains(open, l) {
						t.Fatalf("seed %d: %q of a list that nobody has", seed, key)
					} else if _, listed := v.roster.byKey[key]; l != nil && l.list != nil && listed != (len(l.list) > 0) {
						t.Fatalf("seed %d: %q of %v", seed, key, l.list)
					}
				}
				for l := range lists {
					for key := range l.byKey {
						want[key]++
					}
				}
				for _, key := range listed(s) {
					if s.servers[key].known.lists != want[key] {
						t.Fatalf("seed %d: %s is in %d lists, not %d", seed, key, want[key], s.servers[key].known.lists)
					}
					delete(want, key)
				}
				if len(want) > 0 {
					t.Fatalf("seed %d: the Selector does not know %v", seed, want)
				}
			}
			_ = s.Close()
			synctest.Wait()
		})
	}
}

// For the race detector: lists, calls with and without a tag, and XClients of three groups that come and go, while the Selector is closed.
func TestASelectorMayBeClosedWhileGroupsComeAndGo(t *testing.T) {
	for p := range Policy(5) {
		opts := []Option{WithPolicy(p), WithSlowStart(time.Millisecond), WithProbing(Probing{Probe: func(context.Context, string, string) error { return nil }})}
		if p == Locality {
			opts = append(opts, WithZone("a"))
		}
		s := mustNew(t, opts...)
		var wg sync.WaitGroup
		for g := range uint64(6) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(g, 1))
				for range 60 {
					v := s.newView(settings{known: true, option: client.Option{Group: []string{"", "a", "b"}[g%3]}})
					x := &xclient{s: s, view: v}
					for range 10 {
						v.UpdateServer(fleet(r.IntN(12), func(i int) string { return []string{"zone=a", "tag=canary", "weight=3"}[i%3] }))
						h := x.holder(WithTag(t.Context(), []string{"", "canary"}[r.IntN(2)]), false)
						if v.Select(h, "Arith", "Mul", nil) != "" {
							h.started()
							h.pick.done(health.Outcome(r.IntN(health.Outcomes)), time.Duration(r.IntN(1e6)))
						}
					}
					v.close()
					s.Status()
				}
			})
		}
		wg.Go(func() {
			time.Sleep(10 * time.Millisecond)
			_ = s.Close()
		})
		wg.Wait()
		for key, srv := range s.servers {
			if n := srv.load.InFlight.Load(); n != 0 || srv.known.lists < 0 || srv.known.lists > 1 {
				t.Errorf("%v: %d in flight at %s, in %d lists", p, n, key, srv.known.lists)
			}
		}
	}
}

func TestWhatOneGroupHearsOfAServerHoldsInTheOthers(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, s *Selector, _ *world) {
		views := []*view{
			s.newView(settings{known: true, option: client.Option{Group: "a"}}),
			s.newView(settings{known: true, option: client.Option{Group: "b"}}),
		}
		for _, weight := range []string{"weight=1", "weight=0"} {
			for _, v := range views {
				v.UpdateServer(map[string]string{nth(0): weight, nth(1): "weight=1"})
			}
			pass(time.Second)
		}
		for _, v := range views {
			for range 50 {
				if key := v.Select(t.Context(), "Arith", "Mul", nil); key != nth(1) {
					t.Fatalf("group %s calls %q, which is drained", v.roster.group, key)
				}
			}
		}
	})
}

// fixed is a selector of somebody else's.
type fixed struct{ key string }

func (f fixed) Select(context.Context, string, string, any) string { return f.key }
func (f fixed) UpdateServer(map[string]string)                     {}

// An XClient whose lists go to another selector led on, and all that shared its list had that of long ago.
func TestAnXClientThatIsGivenAnotherSelectorLeadsNobody(t *testing.T) {
	for what, replace := range map[string]func(client.XClient, string){
		"SetSelector":       func(xc client.XClient, key string) { xc.SetSelector(fixed{key}) },
		"ConfigGeoSelector": func(xc client.XClient, _ string) { xc.ConfigGeoSelector(48, 11) },
	} {
		t.Run(what, func(t *testing.T) {
			was, is := startNode(t), startNode(t)
			d := newDiscovery(was.key)
			s := mustNew(t)
			first := NewXClient("Kelp", client.Failfast, d, client.DefaultOption, s)
			defer first.Close()
			second := NewXClient("Kelp", client.Failfast, d, client.DefaultOption, s)
			defer second.Close()
			replace(first, was.key)
			d.set(is.key)
			eventually(t, "the selector has the list", func() bool { return slices.Equal(listed(s), []string{is.key}) })
			if err := second.Call(t.Context(), "Greet", &question, new(string)); err != nil {
				t.Error(err)
			}
		})
	}
}
