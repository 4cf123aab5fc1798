package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

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
			want := Hints{List: true, Names: true, Children: map[string]Change{names[0]: Changed, names[1]: Changed}}
			if diff := cmp.Diff(want, sub.Take(), cmpopts.IgnoreFields(Hints{}, "Since")); diff != "" {
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

// Promise: what a server has told before the watches were set again on it does not move the moment from which the next one is to tell. After an hour a server
// is asked anew what it can do, which it answers first.
func TestWatchesAreSetAgainFromWhereTheyWereLeftAlsoIfThatFailsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 4)
		cfg.Extension = Extension{true, true}
		cuts := 0
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			if cuts == 0 {
				return c
			}
			cuts--
			return forgetful{c}
		})
		s := connected(t, cfg)
		sub := s.Subscribe("/app")
		defer sub.Close()
		mirrored(t, s)
		settle(2 * time.Hour)
		asked := zk.Stats().Requests[zktest.OpExists]
		cuts = 1
		zk.Refuse(true)
		zk.DropConnections()
		must(t, zk.Set("/app/"+names[0], []byte("b")))
		must(t, zk.Delete("/app/"+names[1]))
		zk.Refuse(false)
		settle(time.Minute)
		if st := s.State(); !st.Connected || st.Link != 3 || cuts > 0 || zk.Stats().Requests[zktest.OpExists] != asked+1 {
			t.Fatalf("%+v after %d questions", st, zk.Stats().Requests[zktest.OpExists]-asked)
		}
		want := Hints{List: true, Names: true, Children: map[string]Change{names[0]: Changed, names[1]: Gone}}
		if diff := cmp.Diff(want, sub.Take(), cmpopts.IgnoreFields(Hints{}, "Since")); diff != "" {
			t.Errorf("hints (-want +got):\n%s", diff)
		}
	}, zktest.WithVersion(zktest.Version34))
}

// forgetful is a connection that takes a SetWatches and breaks a moment later, while all else is answered.
type forgetful struct{ net.Conn }

func (c forgetful) Write(b []byte) (int, error) {
	if len(b) < 12 || i32(b[8:]) != opSetWatches {
		return c.Conn.Write(b)
	}
	time.AfterFunc(time.Second, func() { _ = c.Close() })
	return len(b), nil
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

// A read is bound to its link: what could not be sent on that is not sent on the next one, where nobody would wait for it and its watch.
func TestReadThatIsLostWithItsLinkIsNotSentOnTheNext(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 10)
		first := true
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			if !first {
				return c
			}
			first = false
			return &stuck{Conn: c, after: 1, closed: make(chan struct{})} // after the handshake
		})
		s := connected(t, cfg)
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
		if n := zk.Stats().Requests[zktest.OpGetData]; n > 0 {
			t.Errorf("%d were sent", n)
		}
		sameWatches(t, s, zk, 0)
	})
}

// leaving is how many of the reads in frames are to leave a watch.
func leaving(frames []byte) (n int64) {
	for len(frames) > 0 {
		f := frames[:4+be.Uint32(frames)]
		frames = frames[len(f):]
		if xid := i32(f[4:]); xid <= xidOwn && be.Uint32(f[8:]) != opSync && f[len(f)-1] == 1 {
			n++
		}
	}
	return n
}

func TestRearmLeavesWatchesOnceMoreAndTakesNoneAway(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		fill(t, zk, 3)
		must(t, zk.Put("/other/x", nil))
		must(t, zk.Put("/app/child-00000/below", nil))
		var flagged atomic.Int64
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			return recording{c, func(b []byte) { flagged.Add(leaving(b)) }}
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
