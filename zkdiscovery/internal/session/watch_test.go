package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// fill makes n children of /app and returns their names.
func fill(t testing.TB, zk *zktest.Server, n int) (names []string) {
	t.Helper()
	for i := range n {
		names = append(names, fmt.Sprintf("child-%05d", i))
		must(t, zk.Create("/app/"+names[i], []byte("a")))
	}
	return names
}

// mirrored lists /app and reads its children, as zkdiscovery does, and returns what was found.
func mirrored(t testing.TB, s *Session) map[string]string {
	t.Helper()
	must(t, s.Sync(t.Context(), "/app")) // a follower may lag behind what a test has just done elsewhere
	ls, err := s.List(t.Context(), "/app")
	must(t, err)
	nodes, err := s.Read(t.Context(), "/app", ls.Names, true)
	must(t, err)
	found := make(map[string]string)
	for _, n := range nodes {
		must(t, n.Err)
		found[n.Name] = string(n.Data)
	}
	return found
}

// sameWatches compares what the session believes with what the server knows.
func sameWatches(t testing.TB, s *Session, zk *zktest.Server, want int) {
	t.Helper()
	if ours, theirs := s.Outstanding(), zk.Stats().Watches; ours != want || theirs != want {
		t.Errorf("%d watches in the session and %d on the server, want %d", ours, theirs, want)
	}
}

// Promise: one watch at most is outstanding per znode and kind, whoever asks.
func TestWatchIsOnePerNodeAndKindWhoeverAsks(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 50)
		s := connected(t, cfg)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { mirrored(t, s) })
			wg.Go(func() { _, _ = s.List(t.Context(), "/missing") })
		}
		wg.Wait()
		sameWatches(t, s, zk, 1+50+1)
		before := zk.Stats()
		for range 5 {
			mirrored(t, s)
			_, _ = s.List(t.Context(), "/missing")
			if _, err := s.Read(t.Context(), "/app", names, false); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Stat(t.Context(), "/app/"+names[0]); err != nil {
				t.Fatal(err)
			}
		}
		if set := zk.Stats().Since(before).WatchesSet; set != 0 {
			t.Errorf("%d watches were set again", set)
		}
	})
}

func TestWatchGoesWhenItFiresAndComesWithTheNextRead(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 3)
		s := connected(t, cfg)
		sub := s.Subscribe("/app")
		defer sub.Close()
		mirrored(t, s)
		for _, tc := range []struct {
			what   string
			change func() error
			left   int
			want   Hints
		}{
			{"data", func() error { return zk.Set("/app/"+names[0], []byte("b")) }, 3, Hints{Children: map[string]Change{names[0]: Changed}}},
			{"a new child", func() error { return zk.Create("/app/new", nil) }, 3, Hints{List: true}},
			{"a child that goes", func() error { return zk.Delete("/app/new") }, 3, Hints{List: true, Children: map[string]Change{"new": Gone}}},
		} {
			must(t, tc.change())
			settle(0)
			sameWatches(t, s, zk, tc.left)
			if diff := cmp.Diff(tc.want, sub.Take()); diff != "" {
				t.Errorf("%s: hints (-want +got):\n%s", tc.what, diff)
			}
			found := mirrored(t, s)
			sameWatches(t, s, zk, 1+len(found))
		}
	})
}

func TestWatchIsNotLeftByAReadThatFails(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 2)
		s := connected(t, cfg)
		read := func(want error, names ...string) {
			t.Helper()
			nodes, err := s.Read(t.Context(), "/app", names, true)
			must(t, err)
			for _, n := range nodes {
				if !errors.Is(n.Err, want) || n.Data != nil {
					t.Errorf("%+v, want %v", n, want)
				}
			}
			sameWatches(t, s, zk, 0)
		}
		read(ErrNoNode, "missing", "missing too")
		zk.FailNext(zktest.OpGetData, zktest.CodeNoAuth, 2)
		read(ErrNoAuth, names...)
		zk.FailNext(zktest.OpGetData, -127, 1) // throttled: go-zookeeper has no name for it
		if nodes, err := s.Read(t.Context(), "/app", names, true); err == nil || errors.Is(err, ErrLost) {
			t.Errorf("%v, %v", nodes, err)
		}
		zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoAuth, 1)
		if _, err := s.List(t.Context(), "/app"); !errors.Is(err, ErrNoAuth) {
			t.Error(err)
		}
		settle(0)
		if ours, theirs := s.Outstanding(), zk.Stats().Watches; ours != theirs || ours > 1 {
			t.Errorf("%d watches in the session and %d on the server", ours, theirs)
		}
	})
}

func TestWatchWaitsForAPathThatIsMissing(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		sub := s.Subscribe("/not/yet")
		defer sub.Close()
		for range 3 {
			if _, err := s.List(t.Context(), "/not/yet"); !errors.Is(err, ErrNoNode) {
				t.Fatal(err)
			}
		}
		sameWatches(t, s, zk, 1)
		must(t, zk.Put("/not/yet", nil))
		settle(0)
		if h := sub.Take(); !h.List || len(h.Children) > 0 {
			t.Errorf("hints %+v", h)
		}
		sameWatches(t, s, zk, 0)
		ls, err := s.List(t.Context(), "/not/yet")
		if err != nil || len(ls.Names) != 0 || ls.Stat.Czxid == 0 {
			t.Errorf("%+v, %v", ls, err)
		}
		sameWatches(t, s, zk, 1)
		must(t, zk.Delete("/not/yet"))
		settle(0)
		if h := sub.Take(); !h.List {
			t.Errorf("hints %+v", h)
		}
	})
}

func TestListFindsAPathThatIsMadeBetweenItsTwoQuestions(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		fill(t, zk, 2)
		s := connected(t, cfg)
		zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoNode, 1)
		if ls, err := s.List(t.Context(), "/app"); err != nil || len(ls.Names) != 2 {
			t.Fatalf("%+v, %v", ls, err)
		}
		if got := s.Outstanding(); got != 1 { // the server has one more, of no harm: on the data of a path that exists
			t.Errorf("%d watches", got)
		}
		sub := s.Subscribe("/app")
		defer sub.Close()
		must(t, zk.Delete("/app/child-00000"))
		settle(0)
		if !sub.Take().List {
			t.Error("no hint")
		}
	})
}

// A watch may fire before the one who asked for it runs again: counted only then, it would be believed outstanding for ever.
func TestWatchThatFiresAtOnceIsNotCounted(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 1)
		s := connected(t, cfg)
		sub := s.Subscribe("/app")
		defer sub.Close()
		for range 20 {
			zk.Delay(100 * time.Millisecond)
			var wg sync.WaitGroup
			wg.Go(func() { mirrored(t, s) })
			settle(250 * time.Millisecond) // synced, listed, read, and the answer of the third is under way
			must(t, zk.Set("/app/"+names[0], []byte("b")))
			wg.Wait()
			settle(time.Second)
			if h := sub.Take(); h.Children[names[0]] != Changed {
				t.Fatalf("hints %+v", h)
			}
			sameWatches(t, s, zk, 1)
		}
	})
}

// Promise: after a reconnect within the session ZooKeeper tells what was missed, ahead of every answer.
func TestChangesDuringACutAreHintedBeforeAnyLaterAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 4)
		s := connected(t, cfg)
		sub, missing := s.Subscribe("/app"), s.Subscribe("/missing")
		defer sub.Close()
		defer missing.Close()
		for round := range 20 {
			mirrored(t, s)
			_, _ = s.List(t.Context(), "/missing")
			zk.Refuse(true)
			zk.DropConnections()
			must(t, zk.Set("/app/"+names[0], []byte("b")))
			must(t, zk.Delete("/app/"+names[1]))
			must(t, zk.Create("/app/"+names[1], nil))
			must(t, zk.Create("/missing", nil))
			settle(time.Second)
			if h := sub.Take(); h.List || len(h.Children) > 0 {
				t.Fatalf("told of changes without a connection: %+v", h)
			}
			zk.Refuse(false)
			for {
				st, changed := s.Changed()
				if st.Connected {
					break
				}
				<-changed
			}
			if _, err := s.Stat(t.Context(), "/app"); err != nil {
				t.Fatal(err)
			}
			want := Hints{List: true, Children: map[string]Change{names[0]: Changed, names[1]: Changed}}
			if diff := cmp.Diff(want, sub.Take()); diff != "" {
				t.Fatalf("round %d: hints (-want +got):\n%s", round, diff)
			}
			if !missing.Take().List {
				t.Fatal("no hint of the path that was missing")
			}
			sameWatches(t, s, zk, 2)
			must(t, zk.Delete("/missing"))
		}
		if st := s.State(); st.Session != 1 || st.Link != 21 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWatchesOfAnySizeAreSetAgain(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		var names []string
		for i := range 3000 { // three times what one request has room for
			names = append(names, fmt.Sprintf("tcp@host-%s-%05d.example:8972", strings.Repeat("x", 90), i))
			must(t, zk.Create("/app/"+names[i], nil))
		}
		s := connected(t, cfg)
		sub := s.Subscribe("/app")
		defer sub.Close()
		mirrored(t, s)
		sameWatches(t, s, zk, 3001)
		before := zk.Stats()
		zk.Refuse(true)
		zk.DropConnections()
		want := make(map[string]Change)
		for i := 0; i < len(names); i += 10 {
			must(t, zk.Set("/app/"+names[i], []byte("b")))
			want[names[i]] = Changed
		}
		zk.Refuse(false)
		settle(MaxBackoff)
		if diff := cmp.Diff(want, sub.Take().Children); diff != "" {
			t.Errorf("hints (-want +got):\n%s", diff)
		}
		sameWatches(t, s, zk, 3001-300)
		if n := zk.Stats().Since(before).Requests[zktest.OpSetWatches]; n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
	}, zktest.WithMaxFrame(setWatchesLimit+64))
}

// What go-zookeeper had queued when a connection ended, it sends on the next one, although nobody waits for it any more: the watch that it
// leaves there is one.
func TestRequestThatIsSentOnTheNextLinkLeavesACountedWatch(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 10)
		stall, first := make(chan struct{}), true
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			if !first {
				return c
			}
			first = false
			return stalling{c, stall, make(chan struct{}), new(sync.Once), new(atomic.Pointer[time.Time])}
		})
		s := connected(t, cfg)
		sub := s.Subscribe("/app")
		defer sub.Close()
		close(stall)
		var lost atomic.Int64
		for _, name := range names {
			go func() {
				if _, err := s.Read(context.Background(), "/app", []string{name}, true); errors.Is(err, ErrLost) {
					lost.Add(1)
				}
			}()
		}
		settle(0)
		zk.DropConnections()
		settle(time.Second)
		if st := s.State(); !st.Connected || st.Session != 1 || st.Link != 2 || lost.Load() != 10 {
			t.Fatalf("%d reads were lost, want all: %+v", lost.Load(), st)
		}
		left := s.Outstanding()
		if left == 0 {
			t.Fatal("go-zookeeper has changed: nothing was sent on the next link")
		}
		sameWatches(t, s, zk, left)
		for _, name := range names {
			must(t, zk.Set("/app/"+name, []byte("b")))
		}
		settle(0)
		if got := len(sub.Take().Children); got != left {
			t.Errorf("%d hints of %d watches", got, left)
		}
		sameWatches(t, s, zk, 0)
	})
}

// Nobody would ask for what is left of a watch on a node that is gone: it would stay for ever.
func TestNothingIsLeftOfAWatchThatIsGone(t *testing.T) {
	fired, failed, doubted := watchKey{"/app/a", dataWatch}, watchKey{"/app/b", dataWatch}, watchKey{"/app/c", dataWatch}
	w := newWatches()
	w.want(fired)
	w.placed(fired)
	w.unwant(fired)
	w.want(failed)
	w.want(doubted)
	w.placed(doubted)
	w.unwant(doubted)
	w.doubt("/app")
	w.unwant(failed)
	w.gone(fired, doubted)
	if len(w.m) > 0 {
		t.Errorf("left: %v", w.m)
	}
}

func TestRearmLeavesWatchesOnceMoreAndTakesNoneAway(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		fill(t, zk, 3)
		must(t, zk.Put("/other/x", nil))
		must(t, zk.Put("/app/child-00000/below", nil))
		var flagged atomic.Int64
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			return recording{c, func(f []byte) {
				if _, read := readOf(f); read && f[len(f)-1] == 1 {
					flagged.Add(1)
				}
			}}
		})
		s := connected(t, cfg)
		readAll := func(want int64) {
			t.Helper()
			flagged.Store(0)
			mirrored(t, s)
			for _, parent := range []string{"/other", "/app/child-00000"} {
				if _, err := s.Read(t.Context(), parent, []string{"x", "below"}, true); err != nil {
					t.Fatal(err)
				}
			}
			if got := flagged.Load(); got != want {
				t.Errorf("%d requests were to leave a watch, want %d", got, want)
			}
			sameWatches(t, s, zk, 6)
		}
		readAll(4 + 4) // two find nothing to watch
		readAll(2)
		s.Rearm("/app")
		sameWatches(t, s, zk, 6)
		readAll(4 + 2)
		readAll(2)
		// They are set again on the next link, too, although nobody has read in between.
		s.Rearm("/app")
		zk.DropConnections()
		settle(MaxBackoff)
		sameWatches(t, s, zk, 6)
		readAll(4 + 2)
	})
}

// ZooKeeper does not refuse to set watches again for good; should it, only a session without any helps.
func TestSessionWhoseWatchesCannotBeSetAgainIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		log := &journal{}
		cfg.Logger = slog.New(log)
		fill(t, zk, 3)
		s := connected(t, cfg)
		mirrored(t, s)
		zk.FailNext(zktest.OpSetWatches, -6, 1<<30)
		zk.DropConnections()
		settle(MaxBackoff)
		if st := s.State(); !st.Connected || st.Session != 2 {
			t.Errorf("%+v", st)
		}
		if len(log.seen("session given up", "watches could not be set again")) != 1 {
			t.Error("the reason is in no line")
		}
		sameWatches(t, s, zk, 0)
	})
}

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

// The watch on a list goes with the path. Counted on, it would never be left on the path's successor.
func TestPathThatIsMadeAnewIsWatchedAnew(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		sub := s.Subscribe("/app")
		defer sub.Close()
		mirrored(t, s)
		must(t, zk.Delete("/app"))
		must(t, zk.Create("/app", nil))
		settle(0)
		sub.Take()
		mirrored(t, s)
		sameWatches(t, s, zk, 1)
		must(t, zk.Create("/app/a", nil))
		settle(0)
		if !sub.Take().List {
			t.Error("no hint")
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
	if diff := cmp.Diff(Hints{Children: map[string]Change{"x": Gone, "y": Changed}}, sub.Take()); diff != "" {
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
		if diff := cmp.Diff(Hints{List: true, Children: want}, sub.Take()); diff != "" {
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
