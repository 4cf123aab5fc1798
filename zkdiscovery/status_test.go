package zkdiscovery

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestAStatusIsOneLineForAPerson(t *testing.T) {
	at := time.Date(2025, 11, 21, 4, 5, 6, 0, time.UTC)
	for _, tc := range []struct {
		name   string
		status Status
		want   string
	}{
		{
			"live",
			Status{Service: "/rpcx/Arith", Source: Live, Instances: 3, AsOf: at, Connected: true, Server: "zk1:2181", Since: at},
			"/rpcx/Arith: live, 3 instances, confirmed 2025-11-21T04:05:06Z; connected to zk1:2181 since 2025-11-21T04:05:06Z",
		},
		{
			"stale, with everything that can be wrong",
			Status{
				Service: "/rpcx/Arith", Source: Stale, Instances: 3, Held: 2, AsOf: at, Since: at.Add(time.Minute), LastErr: errors.New("refused"),
				CacheErr: errors.New("disk full"), MissingPath: "/prod/rpcx",
			},
			"/rpcx/Arith: stale, 3 instances (2 held), confirmed 2025-11-21T04:05:06Z; not connected since 2025-11-21T04:06:06Z: refused; " +
				"/prod/rpcx does not exist; cache file not written: disk full",
		},
		{
			"connected, and not allowed to list",
			Status{
				Service: "/rpcx/Arith", Source: File, Instances: 3, AsOf: at, Connected: true, Server: "zk1:2181", Since: at,
				LastErr: errors.New("no permission"), LastErrAt: at.Add(time.Second),
			},
			"/rpcx/Arith: file, 3 instances, confirmed 2025-11-21T04:05:06Z; connected to zk1:2181 since 2025-11-21T04:05:06Z, " +
				"which does not give the list: no permission",
		},
		{
			"connected again, about to list",
			Status{
				Service: "/rpcx/Arith", Source: Stale, Instances: 3, AsOf: at, Connected: true, Server: "zk1:2181", Since: at.Add(time.Minute),
				LastErr: errors.New("refused"), LastErrAt: at.Add(time.Second),
			},
			"/rpcx/Arith: stale, 3 instances, confirmed 2025-11-21T04:05:06Z; connected to zk1:2181 since 2025-11-21T04:06:06Z",
		},
		{"nothing yet", Status{Service: "/rpcx/Arith", Since: at}, "/rpcx/Arith: none, 0 instances; not connected since 2025-11-21T04:05:06Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.status.String(); got != tc.want {
				t.Errorf("%s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestASourceHasAName(t *testing.T) {
	for s, want := range map[Source]string{
		None: "none", File: "file", Override: "override", Stale: "stale", Live: "live", Live + 1: "source(5)", -1: "source(-1)",
	} {
		if got := s.String(); got != want {
			t.Errorf("%d: %q, want %q", int(s), got, want)
		}
	}
}

func TestStatusCountsAndTells(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.put("Arith", "lock", "")
		d := w.discover("Arith", WithoutWireExtension())
		d.WatchService()
		pass(time.Second)
		st := d.Status()
		if st.Service != "/rpcx/Arith" || st.Source != Live || st.Instances != 1 || st.Skipped != 1 || st.Watchers != 1 || st.Revision != 1 ||
			!st.Connected || st.Server != "zk:2181" || st.SessionID == 0 || st.Sessions != 1 || st.Connections != 1 || st.Zxid == 0 {
			t.Errorf("%+v", st)
		}
		if st.Lists != 1 || st.Reads != 1 || st.Checks != 0 || st.Mended != 0 || st.Saves != 1 || st.SaveErrors != 0 {
			t.Errorf("counters %+v", st.Counters)
		}
		pass(time.Hour)
		st = d.Status()
		if st.Checks < 4 || time.Since(st.AsOf) > 10*time.Second {
			t.Errorf("after an hour at rest: %d looks, confirmed %v ago", st.Checks, time.Since(st.AsOf))
		}

		w.zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoAuth, 1)
		w.put("Arith", "tcp@b:1", "")
		failed := time.Now()
		pass(10 * time.Millisecond)
		st = d.Status()
		var op *OpError
		if !errors.As(st.LastErr, &op) || op.Op != "list" || op.Path != "/rpcx/Arith" || st.LastErrAt.Before(failed) || st.Source != Stale {
			t.Errorf("%v at %v, source %v", st.LastErr, st.LastErrAt, st.Source)
		}
		pass(5 * time.Second)
		w.source(d, Live)
		w.lists(d, "tcp@a:1,tcp@b:1")

		w.zk.Stop()
		pass(time.Minute)
		st = d.Status()
		if st.Connected || st.FailedRounds < 5 || st.LastErr == nil || !strings.Contains(st.String(), "not connected") {
			t.Errorf("%+v", st)
		}
		d.Close()
		if st := d.Status(); st.Source != Stale || st.Instances != 2 || !errors.Is(st.LastErr, ErrClosed) && st.LastErr == nil {
			t.Errorf("after Close: %v", st)
		}
	})
}

func TestStatusTellsTheNewestError(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith", WithoutWireExtension())
		newest := func(what string, within time.Duration) {
			t.Helper()
			if st := d.Status(); st.LastErr == nil || !strings.Contains(st.LastErr.Error(), what) || time.Since(st.LastErrAt) > within {
				t.Errorf("%v, %v ago; want %q, at most %v ago", st.LastErr, time.Since(st.LastErrAt), what, within)
			}
		}
		w.zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoAuth, 1)
		w.put("Arith", "tcp@b:1", "")
		pass(10 * time.Millisecond)
		newest("list /rpcx/Arith", 10*time.Millisecond)
		w.zk.Stop()
		pass(time.Minute)
		newest("refused", session.MaxBackoff)
		w.do(w.zk.Start())
		pass(time.Minute)
		newest("refused", time.Minute+session.MaxBackoff) // as nothing has gone wrong since
	})
}

// Also in the moment before the service's loop has noticed that a connection is gone, or another one there.
func TestAListIsLiveOverItsOwnConnectionOnly(t *testing.T) {
	up := session.State{Connected: true, Link: 7}
	of := func(source Source, link int64) shown {
		return shown{list: &list{Shown: belief.Shown{Source: belief.Source(source), Link: link}}}
	}
	for _, tc := range []struct {
		name string
		v    *view
		st   session.State
		want Source
	}{
		{"over its connection", &view{shown: of(Live, 7)}, up, Live},
		{"that one is gone", &view{shown: of(Live, 7)}, session.State{Link: 7}, Stale},
		{"there is another one", &view{shown: of(Live, 6)}, up, Stale},
		{"nobody keeps it up to date", &view{shown: of(Live, 7), lapsed: true}, up, Stale},
		{"it is the file's", &view{shown: of(File, 7)}, up, File},
		{"there is none", &view{}, up, None},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.v.sourceLocked(tc.st); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestASnapshotNeverLooksOlderThanTheOneBefore(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		last := d.Snapshot().AsOf
		look := func() {
			t.Helper()
			s := d.Snapshot()
			if s.AsOf.Before(last) || s.AsOf.After(time.Now()) {
				t.Fatalf("as of %v after %v, source %v", s.AsOf, last, s.Source)
			}
			last = s.AsOf
		}
		agree := func() { // nothing may be under way: between the two calls the list may change
			t.Helper()
			st, s := d.Status(), d.Snapshot()
			if st.Source != s.Source || st.Revision != s.Revision || !st.AsOf.Equal(s.AsOf) || st.Instances != len(s.Servers) {
				t.Fatalf("Status %v, Snapshot %v", st, s)
			}
		}
		for i := range 30 {
			for range 20 {
				pass(time.Duration(i) * 37 * time.Millisecond)
				look()
				agree()
			}
			switch i % 3 {
			case 0:
				w.zk.DropConnections()
			case 1:
				w.put("Arith", "tcp@b:1", strings.Repeat("x", i))
			case 2:
				w.zk.ExpireAll()
			}
			look()
		}
		w.zk.Stop()
		look()
		stopped := last
		pass(time.Minute)
		if look(); last.After(stopped.Add(time.Second)) {
			t.Errorf("confirmed as of %v, long after ZooKeeper had gone", last)
		}
	})
}
