package zktest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStatsCount(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		var want Stats
		var last Stats
		step := func(what string, change func(*Stats)) {
			t.Helper()
			want.Requests = make(map[Op]int64)
			change(&want)
			now := s.Stats()
			got := now.Since(last)
			last = now
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: want (-), got (+):\n%s", what, diff)
			}
			want = Stats{Watches: now.Watches, Sessions: now.Sessions, Connections: now.Connections}
		}
		const connectIn, connectOut = 4 + 44, 4 + 36
		w := join(t, s)
		step("a session", func(st *Stats) {
			st.Requests[OpConnect] = 1
			st.SessionsOpened, st.Sessions, st.Accepted, st.Connections = 1, 1, 1, 1
			st.BytesIn, st.BytesOut = connectIn, connectOut
		})
		w.must(t, exists("/"))
		w.watch(t, "/a")
		w.watch(t, "/a") // again is not another one
		step("three reads", func(st *Stats) {
			st.Requests[OpExists] = 3
			st.WatchesSet, st.Watches = 1, 1
			st.BytesIn, st.BytesOut = 4+8+4+1+1+2*(4+8+4+2+1), 4+16+68+2*(4+16)
		})
		mustPut(t, s, "/a")
		w.mustNotify(t, eventCreated, "/a")
		step("a notification", func(st *Stats) {
			st.Notifications, st.Watches = 1, 0
			st.BytesOut = 4 + 16 + 4 + 4 + 4 + 2
		})
		other := join(t, s)
		if !s.ExpireSession(w.session) {
			t.Fatal("no session")
		}
		w.mustEnd(t)
		pass(0)
		step("an expiry", func(st *Stats) {
			st.Requests[OpConnect] = 1
			st.SessionsOpened, st.SessionsExpired, st.Sessions = 1, 1, 1
			st.Accepted, st.Connections = 1, 1
			st.BytesIn, st.BytesOut = connectIn, connectOut
		})
		other.must(t, &request{kind: OpSetWatches, watches: watchesLost{zxid: s.Zxid(), data: []string{"/a", "/a"}, exist: []string{"/b"}, child: []string{"/a"}}})
		s.Refuse(true)
		if _, err := s.Dial(t.Context(), "", ""); err == nil {
			t.Fatal("not refused")
		}
		s.DropConnections()
		step("watches set again, a refusal, a cut", func(st *Stats) {
			st.Requests[OpSetWatches] = 1
			st.WatchesSet = 3
			st.Refused, st.Connections = 1, 0
			st.BytesIn, st.BytesOut = 4+8+8+4+6+6+4+6+4+6, 4+16
		})
		step("nothing", func(*Stats) {})
		if total := last.Total(); total != 4 {
			t.Errorf("%d requests in all, want 4", total)
		}
	})
}

func TestStatsAreACopy(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		before := s.Stats()
		w.must(t, exists("/"))
		if before.Requests[OpExists] != 0 {
			t.Error("an earlier Stats has changed")
		}
		before.Requests[OpExists] = 100
		if n := s.Stats().Requests[OpExists]; n != 1 {
			t.Errorf("%d", n)
		}
	})
}

// A fuzzer that sends every number there is must not fill the memory.
func TestUnknownKindsAreCountedAsOne(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		for op := Op(1000); op < 1100; op++ {
			_, _ = join(t, s).call(op, nil) // which ends the connection
		}
		_, _ = join(t, s).call(OpConnect, nil) // a kind of the server's own, which no client may send
		st := s.Stats()
		if n := st.Requests[OpUnknown]; n != 101 || len(st.Requests) != 2 || st.Requests[OpConnect] != 101 {
			t.Errorf("%d kinds, %d of them unknown: %v", len(st.Requests), n, st.Requests)
		}
		if n := st.Total(); n != 101 {
			t.Errorf("%d in all", n)
		}
	})
}
