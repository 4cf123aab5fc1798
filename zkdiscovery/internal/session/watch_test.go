package session

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
	ls, err := s.SyncedList(t.Context(), "/app") // a follower may lag behind what a test has just done elsewhere
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
			{"a new child", func() error { return zk.Create("/app/new", nil) }, 3, Hints{List: true, Names: true}},
			{"a child that goes", func() error { return zk.Delete("/app/new") }, 3, Hints{List: true, Names: true, Children: map[string]Change{"new": Gone}}},
		} {
			must(t, tc.change())
			settle(0)
			sameWatches(t, s, zk, tc.left)
			if diff := cmp.Diff(tc.want, sub.Take(), cmpopts.IgnoreFields(Hints{}, "Since")); diff != "" {
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
		if got := s.Outstanding(); got != 2 { // one is on the data of a path that exists, of no harm
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

// Nobody would ask for what is left of a watch on a node that is gone: it would stay for ever.
func TestNothingIsLeftOfAWatchThatIsGone(t *testing.T) {
	fired, asked, doubted := watchKey{"/app/a", dataWatch}, watchKey{"/app/b", dataWatch}, watchKey{"/app/c", dataWatch}
	w := newWatches()
	w.placed(fired)
	w.placed(doubted)
	w.doubt("/app")
	if !w.lacks(asked) {
		t.Error("a watch that nobody has left is not to be left")
	}
	w.gone(fired, doubted)
	if len(w.below) > 0 || w.outstanding() != 0 {
		t.Errorf("left: %v", w.below)
	}
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
