package session

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Issue 10, S10: 5,000 services that never existed were asked for and let go, and their 5,000 watches were set again at each reconnect.
func TestWatchesThatNobodyWantsAreTakenAway(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Chroot = "/app"
		s := connected(t, cfg)
		for i := range 5000 {
			sub := s.Subscribe(fmt.Sprintf("/nobody-%d", i))
			if _, err := s.List(t.Context(), fmt.Sprintf("/nobody-%d", i)); !errors.Is(err, ErrNoNode) {
				t.Fatal(err)
			}
			sub.Close()
		}
		settle(0)
		sameWatches(t, s, zk, 0)
		if n := zk.Stats().Requests[zktest.OpRemoveWatches]; n != 5000 {
			t.Errorf("%d requests to remove watches", n)
		}
		zk.DropConnections()
		settle(MaxBackoff)
		if st := s.State(); st.Link != 2 || zk.Stats().Requests[zktest.OpSetWatches] != 0 {
			t.Errorf("watches were set again, %+v", st)
		}
	})
}

// Hazard H8: a server before 3.5 answers what it does not know with -6, and hangs up.
func TestServerThatCannotRemoveWatchesIsNotAskedTo(t *testing.T) {
	for _, code := range []zktest.Code{zktest.CodeNoNode, zktest.CodeNoAuth} {
		bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
			fill(t, zk, 100)
			s := connected(t, cfg)
			zk.FailNext(zktest.OpExists, code, 1<<30) // among others, of the node that tells
			for range 3 {
				sub := s.Subscribe("/app")
				mirrored(t, s)
				sub.Close()
				settle(time.Second)
			}
			if ours, theirs := s.Outstanding(), zk.Stats().Watches; ours != 0 || theirs != 101 {
				t.Errorf("%d watches in the session and %d on the server", ours, theirs)
			}
			if r := zk.Stats().Requests; r[zktest.OpRemoveWatches] != 0 || r[zktest.OpExists] != 1 {
				t.Errorf("%v", r)
			}
			zk.DropConnections()
			settle(MaxBackoff)
			sameWatches(t, s, zk, 0)
			if st := s.State(); st.Link != 2 || zk.Stats().Requests[zktest.OpSetWatches] != 0 {
				t.Errorf("watches were set again, %+v", st)
			}
		})
	}
}

func TestWatchesThatSomebodyElseWantsStay(t *testing.T) {
	for _, tc := range []struct {
		rule  string
		stays []string // subscriptions that stay
		left  int
	}{
		{"nobody", nil, 0},
		{"another of the same path", []string{"/app"}, 1 + 3},
		{"one of a child", []string{"/app/child-00001"}, 1},
		{"one of the parent", []string{""}, 1},
		{"one of a path that begins alike", []string{"/app/child", "/ap"}, 0},
		{"all of them", []string{"", "/app", "/app/child-00001"}, 1 + 3},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				fill(t, zk, 3)
				s := connected(t, cfg)
				sub := s.Subscribe("/app")
				for _, path := range tc.stays {
					defer s.Subscribe(path).Close()
				}
				mirrored(t, s)
				sub.Close()
				settle(0)
				sameWatches(t, s, zk, tc.left)
				sub.Close() // once more
				settle(0)
				sameWatches(t, s, zk, tc.left)
			})
		})
	}
}

// A path that is let go and taken up again at once: the removal must not take the new watches away.
func TestWatchesOfAPathThatIsTakenUpAgainAreThere(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 1000)
		s := connected(t, cfg)
		for round := range 20 {
			zk.Delay(time.Duration(round%4) * 10 * time.Millisecond)
			sub := s.Subscribe("/app")
			mirrored(t, s)
			sub.Close()
			if round%2 == 0 {
				settle(time.Duration(round) * time.Millisecond)
			}
			sub = s.Subscribe("/app")
			mirrored(t, s)
			settle(time.Second)
			sameWatches(t, s, zk, 1001)
			must(t, zk.Set("/app/"+names[round], []byte(fmt.Sprint(round))))
			settle(time.Second)
			if h := sub.Take(); h.Children[names[round]] != Changed {
				t.Errorf("round %d: not told: %+v", round, h)
			}
			sub.Close()
			settle(time.Second)
			sameWatches(t, s, zk, 0)
		}
	})
}

// Whoever lets a path go may have asked just before: the answers come later.
func TestWatchesThatAreOnTheirWayWhenNobodyWantsThemAnyMoreAreTakenAway(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond, time.Second} {
		bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
			names := fill(t, zk, 2000)
			s := connected(t, cfg)
			zk.Delay(delay)
			sub := s.Subscribe("/app")
			ctx, cancel := context.WithCancel(t.Context())
			go func() { _, _ = s.List(ctx, "/app") }()
			go func() { _, _ = s.Read(ctx, "/app", names, true) }()
			synctest.Wait()
			settle(delay / 2)
			sub.Close()
			cancel()
			settle(time.Minute)
			sameWatches(t, s, zk, 0)
		})
	}
}

func TestRealZooKeeperRemovesTheWatchesThatNobodyWants(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	s, other := real(t, e, Config{})
	names := populate(t, other, 1000)
	sub, one := s.Subscribe("/app"), s.Subscribe("/app/"+names[7])
	mirrored(t, s)
	watchesOfReal(t, e, s, 1001)
	sub.Close()
	watchesOfReal(t, e, s, 1)
	write(t, other, Set{Path: "/app/" + names[7], Version: -1})
	eventually(t, "told", func() bool { return one.Take().List })
	one.Close()
	if st := s.State(); st.Link != 1 {
		t.Errorf("%+v", st)
	}
}
