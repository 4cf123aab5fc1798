package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"
)

func TestATemplateNamesItsServices(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.put("Arith", "tcp@b:1", "")
		w.put("Echo", "tcp@c:1", "")
		template := w.template(WithFilter(func(kv *client.KVPair) bool { return kv.Key != "tcp@b:1" }))
		arith, again, echo := w.clone(template, "Arith"), w.clone(template, "Arith"), w.clone(template, "Echo")
		arith.WatchService()
		again.WatchService()
		pass(time.Second)
		live := time.Now()
		st := template.Status()
		if !st.Template || len(st.Services) != 2 || arith.Status().Services != nil {
			t.Fatalf("%v, with %v", st, st.Services)
		}
		one := st.Services[0]
		if one.Service != "/rpcx/Arith" || one.Source != Live || one.Instances != 2 || one.Watchers != 2 || one.Revision == 0 || one.Zxid == 0 ||
			one.Lists != 1 || one.Saves != 1 || one.CacheFile == "" || !one.Connected || one.SourceSince.IsZero() || one.AsOf.After(live) {
			t.Errorf("%+v", one)
		}
		if st.Services[1].Service != "/rpcx/Echo" || st.Services[1].Instances != 1 {
			t.Errorf("%+v", st.Services[1])
		}
		if n := arith.Status().Instances; n != 1 {
			t.Errorf("the clone's own, filtered: %d", n)
		}
		snapshots := template.Snapshots()
		if len(snapshots) != 2 || len(snapshots[0].Servers) != 2 || snapshots[1].Servers[0].Key != "tcp@c:1" {
			t.Errorf("%+v", snapshots)
		}

		w.zk.Stop()
		stopped := time.Now()
		pass(30 * time.Second)
		one = template.Status().Services[0]
		if one.Source != Stale || one.SourceSince.Sub(stopped).Abs() > time.Second || one.AsOf.After(stopped) || one.AsOf.Before(live.Add(-10*time.Second)) {
			t.Errorf("in an outage since %v: %+v", stopped, one)
		}
		w.do(w.zk.Start())
		echo.Close()
		pass(2 * releaseIdle) // looking at the template keeps no clone
		if st := template.Status(); len(st.Services) != 1 || st.Services[0].Source != Live {
			t.Errorf("%v", st.Services)
		}
		arith.Close()
		again.Close()
		if st := template.Status(); len(st.Services) != 0 {
			t.Errorf("%v", st.Services)
		}
	})
}

func TestAnOwnerNamesTheOtherServices(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.put("Echo", "tcp@c:1", "")
		d := w.discover("Arith")
		w.clone(d, "Echo")
		st := d.Status()
		if st.Template || st.Service != "/rpcx/Arith" || len(st.Services) != 1 || st.Services[0].Service != "/rpcx/Echo" {
			t.Errorf("%v, with %v", st, st.Services)
		}
	})
}

func TestStatusTellsWhoIsHeldAndWhy(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, key := range []string{"tcp@a:1", "tcp@b:1", "memu@c", "tcp@d:1"} {
			w.put("Arith", key, "")
		}
		var lost atomic.Bool
		d := w.discover("Arith", WithGuard(Guard{Probe: func(_ context.Context, network, addr string) error {
			switch {
			case network == "memu":
				return errors.ErrUnsupported
			case addr == "b:1" && lost.Load():
				return errors.New("nobody there")
			}
			return nil
		}}))
		pass(time.Minute)
		lost.Store(true)
		for _, key := range []string{"tcp@a:1", "tcp@b:1", "memu@c", "tcp@d:1"} {
			w.remove("Arith", key)
		}
		missed := time.Now()
		got := make(map[string]Held) // as each was first described after it was asked
		for range 150 {
			pass(20 * time.Millisecond)
			st := d.Status()
			if st.Held != len(st.HeldServers) {
				t.Fatalf("%d held, described %v", st.Held, st.HeldServers)
			}
			for _, h := range st.HeldServers {
				if _, seen := got[h.Key]; !seen && h.Reason != HeldUnasked {
					got[h.Key] = h
				}
				if h.Since.Sub(missed).Abs() > 5*time.Second {
					t.Errorf("%+v, missed at %v", h, missed)
				}
			}
		}
		if h := got["tcp@a:1"]; h.Reason != HeldAnswers || !h.Until.IsZero() || h.Err != nil {
			t.Errorf("who answers: %+v", h)
		}
		if h := got["tcp@b:1"]; h.Reason != HeldSilent || h.Until.IsZero() || h.Err == nil {
			t.Errorf("who does not: %+v", h)
		}
		if h := got["memu@c"]; h.Reason != HeldMute || h.Until.Sub(missed) > 2*time.Minute || h.Until.IsZero() {
			t.Errorf("who cannot be asked: %+v", h)
		}
		w.zk.Stop()
		pass(time.Minute)
		for _, h := range d.Status().HeldServers {
			if !h.Until.IsZero() {
				t.Errorf("in an outage nobody goes: %+v", h)
			}
		}
		w.do(w.zk.Start())
		w.put("Arith", "tcp@a:1", "")
		w.put("Arith", "tcp@d:1", "")
		pass(10 * time.Minute)
		if st := d.Status(); st.Held != 0 || len(st.HeldServers) != 0 {
			t.Errorf("%+v", st.HeldServers)
		}
	})
}

func TestAStatusDescribesABoundedNumberOfHeldInstances(t *testing.T) {
	inBubble(t, func(w *world) {
		for i := range maxHolds + 50 {
			w.put("Arith", fmt.Sprintf("tcp@h:%d", 1000+i), "")
		}
		d := w.discover("Arith")
		for i := range maxHolds + 50 {
			w.remove("Arith", fmt.Sprintf("tcp@h:%d", 1000+i))
		}
		pass(time.Minute)
		if st := d.Status(); st.Held != maxHolds+50 || len(st.HeldServers) != maxHolds || st.HeldServers[maxHolds-1].Reason != HeldAnswers {
			t.Errorf("%d held, %d described", st.Held, len(st.HeldServers))
		}
	})
}

func TestTheConnectionsHistoryIsKeptAndBounded(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		w.zk.DropConnections()
		pass(10 * time.Second)
		w.zk.ExpireAll()
		pass(10 * time.Second)
		type event struct{ connected, newSession, why bool }
		var got []event
		for _, e := range d.Status().History {
			got = append(got, event{e.Connected, e.NewSession, e.Err != nil})
			if e.Server != "zk:2181" || e.SessionID == 0 || e.At.IsZero() {
				t.Errorf("%+v", e)
			}
		}
		want := []event{{true, true, false}, {false, false, true}, {true, false, false}, {false, false, true}, {true, true, false}}
		if !slices.Equal(got, want) {
			t.Errorf("(up, new session, with reason) %v, want %v", got, want)
		}
		for range 40 {
			w.zk.DropConnections()
			pass(10 * time.Second)
		}
		h := d.Status().History
		if len(h) != 32 || !h[31].Connected || !slices.IsSortedFunc(h, func(a, b ConnectionEvent) int { return a.At.Compare(b.At) }) {
			t.Errorf("%d events, the last %+v", len(h), h[len(h)-1])
		}
	})
}

func TestChangesAreATimeline(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.put("Arith", "tcp@b:1", "")
		d := w.discover("Arith")
		w.zk.Delay(time.Millisecond) // what is done to two instances at once is told at once
		w.put("Arith", "tcp@c:1", "")
		pass(time.Minute)
		w.put("Arith", "tcp@c:1", "state=inactive")
		pass(time.Minute)
		w.put("Arith", "tcp@c:1", "state=inactive&calls=7")
		pass(time.Minute)
		w.remove("Arith", "tcp@c:1")
		pass(time.Minute)
		w.remove("Arith", "tcp@a:1")
		w.remove("Arith", "tcp@b:1")
		pass(time.Second)
		w.put("Arith", "tcp@a:1", "")
		w.put("Arith", "tcp@b:1", "")
		pass(time.Minute)
		w.zk.Stop()
		pass(time.Minute)
		var got []string
		for _, c := range d.Changes() {
			got = append(got, fmt.Sprint(c.Kind, " ", c.Instances, " ", c.First, " ", c.Source))
			if c.Service != "/rpcx/Arith" || c.At.IsZero() {
				t.Errorf("%+v", c)
			}
		}
		want := "source 2  live, added 1 tcp@c:1 live, edited 1 tcp@c:1 live, removed 1 tcp@c:1 live, held 2 tcp@a:1 live, back 2 tcp@a:1 live, source 2  stale"
		if diff := cmp.Diff(want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		for i := range 3 * maxChanges {
			d.root.changes.add([]Change{{Instances: i}})
		}
		if c := d.Changes(); len(c) != maxChanges || c[maxChanges-1].Instances != 3*maxChanges-1 {
			t.Errorf("%d changes, the last %+v", len(c), c[len(c)-1])
		}
	})
}

func TestTheWordsOfAStatusAreReadBack(t *testing.T) {
	for r := HeldUnasked; r <= HeldFromFile; r++ {
		text, _ := r.MarshalText()
		var back HeldReason
		if back.UnmarshalText(text) != nil || back != r {
			t.Errorf("%v is %s, and %v", r, text, back)
		}
	}
	for k := SourceChanged; k <= HoldEnded; k++ {
		text, _ := k.MarshalText()
		var back ChangeKind
		if back.UnmarshalText(text) != nil || back != k {
			t.Errorf("%v is %s, and %v", k, text, back)
		}
	}
}
