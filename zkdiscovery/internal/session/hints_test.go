package session

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestSubscribersHearOfTheirPathOnly(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		must(t, zk.Put("/app/a/x", nil))
		must(t, zk.Put("/app/b/x", nil))
		cfg.Chroot = "/app"
		s := connected(t, cfg)
		a, a2, b := s.Subscribe("/a"), s.Subscribe("/a"), s.Subscribe("/b")
		for _, p := range []string{"/a", "/b"} {
			_, err := s.Read(t.Context(), p, []string{"x"}, true)
			must(t, err)
			_, err = s.List(t.Context(), p)
			must(t, err)
		}
		must(t, zk.Set("/app/a/x", []byte("1")))
		settle(0)
		<-a.C
		<-a2.C
		if a.Take().Children["x"] != Changed || a2.Take().Children["x"] != Changed || len(b.C) != 0 || b.Take().Children != nil {
			t.Error("a hint went astray")
		}
		a.Close()
		a.Close()
		must(t, zk.Create("/app/a/y", nil))
		settle(0)
		if len(a.C) != 0 || a.Take().List || !a2.Take().List {
			t.Error("a closed subscription was told, or another was not")
		}
		a2.Close()
		b.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.subs) != 0 {
			t.Errorf("%d paths are still subscribed to", len(s.subs))
		}
	})
}

// Whoever watches a child and not the list hears of its end at once: no other event follows.
func TestChildThatGoesIsToldWithoutAWatchOnTheList(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 1)
		s := connected(t, cfg)
		sub := s.Subscribe("/app")
		defer sub.Close()
		if _, err := s.Read(t.Context(), "/app", names, true); err != nil {
			t.Fatal(err)
		}
		must(t, zk.Delete("/app/"+names[0]))
		settle(0)
		if len(sub.C) != 1 || sub.Take().Children[names[0]] != Gone {
			t.Error("not told")
		}
	})
}

// Gone asks for more than Changed does: what came first is not forgotten for what came last.
func TestChildThatWentAndCameAgainIsHintedAsGone(t *testing.T) {
	s := &Session{subs: make(map[string][]*Subscription)}
	sub := s.Subscribe("/app")
	l := &line{s: s, watches: newWatches()}
	s.line = l
	for range 2 {
		s.nodeEvent(l, deleted("/app/x"))
		s.nodeEvent(l, changed("/app/x"))
	}
	s.nodeEvent(l, changed("/app/y"))
	if diff := cmp.Diff(Hints{Children: map[string]Change{"x": Gone, "y": Changed}}, sub.Take(), cmpopts.IgnoreFields(Hints{}, "Since")); diff != "" {
		t.Error(diff)
	}
}

// Promise: events never block. Nobody takes the hints here, and they are more than any channel holds.
func TestFloodOfEventsBlocksNobodyAndLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 2000)
		s := connected(t, cfg)
		idle, sub := s.Subscribe("/app"), s.Subscribe("/app")
		defer idle.Close()
		defer sub.Close()
		mirrored(t, s)
		want := make(map[string]Change)
		for _, name := range names {
			must(t, zk.Delete("/app/"+name))
			want[name] = Gone
		}
		settle(0)
		if diff := cmp.Diff(Hints{List: true, Names: true, Children: want}, sub.Take(), cmpopts.IgnoreFields(Hints{}, "Since")); diff != "" {
			t.Error(diff)
		}
		if len(sub.C) != 1 || len(idle.C) != 1 {
			t.Error("not poked")
		}
		for range 100 {
			zk.ExpireAll()
			settle(MaxBackoff)
		}
		if st := s.State(); !st.Connected || st.Session != 101 {
			t.Errorf("%+v", st)
		}
	})
}
