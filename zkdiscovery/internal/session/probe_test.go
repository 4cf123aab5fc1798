package session

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// journalled opens a session that makes use of what the server has, and returns what it logs.
func journalled(t *testing.T, cfg Config) (*Session, *journal) {
	t.Helper()
	log := &journal{}
	cfg.Extension, cfg.Logger = Extension{true, true}, slog.New(log)
	return connected(t, cfg), log
}

// What a server does not know costs one connection at most, of which nobody hears, and is remembered for an hour. What it knows it is asked for again
// over every connection.
func TestServerIsAskedOnceAnHourForWhatItLacks(t *testing.T) {
	type count struct{ exists, addWatch, multiRead int64 }
	counted := func(zk *zktest.Server) count {
		r := zk.Stats().Requests
		return count{r[zktest.OpExists], r[zktest.OpAddWatch], r[zktest.OpMultiRead]}
	}
	for _, tc := range []struct {
		what  string
		opts  []zktest.Option
		fault func(*zktest.Server)
		want  Extension
		first count
		drops int64
		later count // within the hour
		after count // an hour later
	}{
		{"3.4", []zktest.Option{zktest.WithVersion(zktest.Version34)}, nil, Extension{}, count{1, 0, 0}, 0, count{1, 0, 0}, count{2, 0, 0}},
		{"3.5", []zktest.Option{zktest.WithVersion(zktest.Version35)}, nil, Extension{}, count{2, 1, 1}, 2, count{2, 1, 1}, count{4, 2, 2}},
		{"3.8", nil, nil, Extension{true, true}, count{1, 1, 0}, 0, count{1, 2, 0}, count{2, 3, 0}},
		{"optimized watches", []zktest.Option{zktest.WithOptimizedWatches()}, nil, Extension{false, true}, count{1, 1, 0}, 0, count{1, 1, 1}, count{2, 2, 1}},
		{"a hang-up", nil, func(zk *zktest.Server) { zk.CutBefore(zktest.OpAddWatch, 1) }, Extension{true, true}, count{2, 2, 0}, 1, count{2, 3, 0}, count{3, 4, 0}},
		{"two hang-ups", nil, func(zk *zktest.Server) { zk.CutBefore(zktest.OpAddWatch, 2) }, Extension{false, true}, count{3, 2, 1}, 2, count{3, 2, 2}, count{4, 3, 2}},
		{"throttled", nil, func(zk *zktest.Server) { zk.FailNext(zktest.OpAddWatch, -127, 1) }, Extension{false, true}, count{1, 1, 1}, 0, count{1, 2, 1}, count{2, 3, 1}},
		{"may not read it", nil, func(zk *zktest.Server) { zk.FailNext(zktest.OpExists, zktest.CodeNoAuth, 1) }, Extension{true, true}, count{1, 1, 0}, 0, count{1, 2, 0}, count{2, 3, 0}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				if tc.fault != nil {
					tc.fault(zk)
				}
				s, log := journalled(t, cfg)
				st := s.State()
				if got := counted(zk); st.Extension != tc.want || got != tc.first {
					t.Errorf("%+v after %+v, want %+v after %+v", st.Extension, got, tc.want, tc.first)
				}
				if lines := log.seen(); len(lines) != 1 || st.Session != 1 || st.Link != 1 || zk.Stats().Accepted != 1+tc.drops {
					t.Errorf("session %d, link %d, %d connections:\n%s", st.Session, st.Link, zk.Stats().Accepted, strings.Join(lines, ""))
				}
				again := func(want count) {
					t.Helper()
					zk.DropConnections()
					settle(MaxBackoff)
					if got := counted(zk); !s.State().Connected || got != want {
						t.Errorf("asked %+v, want %+v", got, want)
					}
				}
				settle(rememberFor / 2)
				again(tc.later)
				settle(2 * rememberFor)
				again(tc.after)
			}, tc.opts...)
		})
	}
}

// During an hour in which a server is remembered as a newer one than it is, each thing that it does not know costs a connection once.
func TestServerThatWasMadeAnOlderOneIsForgottenAtTheFirstAnswer(t *testing.T) {
	for i, wanted := range []Extension{{true, true}, {false, true}, {false, true}} {
		reads := i < 2
		bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
			cfg.Extension = wanted
			s := connected(t, cfg)
			zk.SetVersion(zktest.Version34)
			settle(MaxBackoff)
			before := zk.Stats().Accepted
			for i := range 5 {
				sub := s.Subscribe("/app")
				_, _ = s.List(t.Context(), "/app")
				if reads {
					_, _ = s.Read(t.Context(), "/app", []string{"a", "b"}, false)
				}
				sub.Close() // and its watch is to be removed
				settle(MaxBackoff)
				if i == 0 {
					continue
				}
				if got := zk.Stats().Accepted - before; got > 2 {
					t.Errorf("%+v: %d connections", wanted, got)
				}
			}
			if st := s.State(); !st.Connected || st.Extension != (Extension{}) {
				t.Errorf("%+v", st)
			}
		})
	}
}

// Only the answer to a read is about the node that was read.
func TestRefusalOfAnotherRequestSaysNothingAboutTheNode(t *testing.T) {
	for _, op := range []zktest.Op{zktest.OpSync, zktest.OpAddWatch, zktest.OpMultiRead} {
		for _, code := range []zktest.Code{zktest.CodeNoNode, zktest.CodeNoAuth} {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				cfg.Extension = Extension{true, true}
				s := connected(t, cfg)
				names := fill(t, zk, 3)
				zk.FailNext(op, code, 1)
				_, err := s.SyncedList(t.Context(), "/app")
				nodes, errRead := s.Read(t.Context(), "/app", names, false)
				for _, n := range nodes {
					if n.Err != nil {
						t.Errorf("%v %v: %+v", op, code, n)
					}
				}
				if err == nil {
					err = errRead
				}
				if err == nil || isAny(err, ErrNoNode, ErrNoAuth) {
					t.Errorf("%v %v: %v", op, code, err)
				}
			})
		}
	}
}

func TestConnectionThatEndsWithARefusalSaysNothingAboutANode(t *testing.T) {
	for _, xid := range []int32{xidSetWatches, xidAuth} {
		k, _ := testLink(append(welcome(4000, 5), reply(xid, codeNoNode, "")...), 1<<20)
		_, err := io.Copy(io.Discard, k)
		if err == nil || isAny(err, ErrNoNode, ErrNoAuth) {
			t.Errorf("%d: %v", xid, err)
		}
	}
}

func TestDistrustedServerIsWatchedOnceForAnHour(t *testing.T) {
	extended(t, func(t *testing.T, zk *zktest.Server, s *Session, sub *Subscription) {
		names := fill(t, zk, 3)
		mirrored(t, s)
		link := s.State().Link
		s.Distrust(link + 1)
		s.Distrust(link)
		s.Distrust(link)
		if st := s.State(); st.Link != link+1 || st.Extension != (Extension{false, true}) || !st.Connected {
			t.Fatalf("%+v", st)
		}
		mirrored(t, s)
		must(t, zk.Set("/app/"+names[0], []byte("b")))
		hinted(t, "data", sub, Hints{Children: map[string]Change{names[0]: Changed}})
		zk.DropConnections()
		settle(MaxBackoff)
		if s.State().Extension.Lasting {
			t.Error("trusted again at the next connection")
		}
		sameWatches(t, s, zk, 3)
		settle(2 * rememberFor)
		zk.DropConnections()
		settle(MaxBackoff)
		if !s.State().Extension.Lasting {
			t.Error("not asked again after an hour")
		}
		mirrored(t, s)
		sameWatches(t, s, zk, 1) // and none of those that were set again on the way
	})
}

// The answer to a request that a server does not know comes outside of its pipeline, and may be ahead of others.
func TestUnknownRequestIsSeenAheadOfEarlierAnswers(t *testing.T) {
	sent := append(welcome(4000, 5), reply(xidOwn-1, codeUnknown, "")...)
	k, _ := testLink(sent, 1<<20)
	k.extension.Batches = true
	must(t, skip(k, len(welcome(4000, 5))))
	must(t, send(k, lone(opExists, "/a", func(error, []byte) error { return nil })))
	must(t, send(k, lone(opAddWatch, "/a", func(error, []byte) error { return nil })))
	if err := k.nextFrame(); !errors.Is(err, errUnknown) || k.probing.Load() != opAddWatch {
		t.Errorf("%v", err)
	}
}
