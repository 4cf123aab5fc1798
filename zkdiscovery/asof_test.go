package zkdiscovery

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/tests/seeds"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// A ping that was answered while a change was known and not yet read made a list look right as of a moment at which it was known to be outdated: for
// two round trips, for a second where only calls and connections had changed.
func TestAListIsNeverConfirmedAsOfAMomentAtWhichItWasOutdated(t *testing.T) {
	inBubble(t, func(w *world) {
		seed := seeds.One(w.Name())
		r := rand.New(rand.NewPCG(seed, 1))
		w.put("Arith", "tcp@a:1", "n=0")
		w.put("Arith", "tcp@b:1", "calls=0")
		d := w.discover("Arith", WithSessionTimeout(3*time.Second), WithoutGuard())
		pass(time.Second)
		w.zk.Delay(300 * time.Millisecond)
		var pings int
		last := d.Snapshot().AsOf
		for i := range 200 {
			key, value, there := "tcp@a:1", fmt.Sprintf("n=%d", i+1), true
			switch i % 4 {
			case 0:
				w.put("Arith", key, value)
			case 1:
				key, value = "tcp@b:1", fmt.Sprintf("calls=%d", i)
				w.put("Arith", key, "calls=0")
				pass(650 * time.Millisecond) // until it is shown: the next is not, for a second
				w.put("Arith", key, value)
			case 2:
				key, value = "tcp@c:1", ""
				w.put("Arith", key, value)
			case 3:
				key, there = "tcp@c:1", false
				w.remove("Arith", key)
			}
			changed := time.Now()
			for end := changed.Add(time.Duration(r.IntN(4000)) * time.Millisecond); time.Now().Before(end); pass(7 * time.Millisecond) {
				s := d.Snapshot()
				if s.Source != Live {
					w.Fatalf("seed %d: source %v", seed, s.Source)
				}
				if s.AsOf.Before(last) {
					w.Fatalf("seed %d: as of %v after %v", seed, s.AsOf, last)
				}
				if s.AsOf.After(last) {
					last = s.AsOf
					pings++
				}
				if s.AsOf.After(changed) && has(s.Servers, key, value) != there {
					w.Fatalf("seed %d, change %d: confirmed as of %v after the change of %s, which it does not show: %v", seed, i,
						s.AsOf.Sub(changed), key, s.Servers)
				}
			}
			pass(3 * time.Second) // it is the newest, and confirmed by pings again
			s := d.Snapshot()
			if age := time.Since(s.AsOf); age > 2*time.Second || has(s.Servers, key, value) != there {
				w.Fatalf("seed %d, change %d: at rest, and yet confirmed %v ago: %v", seed, i, age, s.Servers)
			}
			last = s.AsOf
		}
		if pings < 200 {
			w.Errorf("the time of confirmation has moved %d times only: nothing was tested", pings)
		}
	})
}

func has(servers []client.KVPair, key, value string) bool {
	for _, p := range servers {
		if p.Key == key {
			return value == "" || p.Value == value
		}
	}
	return false
}

// A clone that was let go and used again an hour later called its old list live, confirmed a moment ago, until the new one was there.
func TestAListThatWasLetGoIsNotLiveUntilItIsListedAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		c := w.clone(w.template(), "Arith")
		pass(releaseIdle / 2)
		before := c.Snapshot().AsOf
		pass(2*releaseIdle + time.Second)
		if isHeld(c) {
			w.Fatal("not let go")
		}
		w.put("Arith", "tcp@b:1", "")
		pass(time.Hour)
		w.zk.Delay(100 * time.Millisecond)
		st := c.view.snapshot(c.root.session.State()) // which is no use
		if st.Source != Stale || st.AsOf.Before(before) || st.AsOf.After(before.Add(2*releaseIdle)) {
			w.Errorf("let go: source %v, as of %v; used last %v", st.Source, st.AsOf, before)
		}
		s := c.Snapshot()
		if !isHeld(c) {
			w.Fatal("not taken up")
		}
		if s = c.Snapshot(); s.Source != Stale || !s.AsOf.Equal(st.AsOf) || len(s.Servers) != 1 {
			w.Errorf("taken up, not listed yet: source %v, as of %v, %v", s.Source, s.AsOf, s.Servers)
		}
		if err := c.WaitLive(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.lists(c, "tcp@a:1,tcp@b:1")

		// Nothing has changed when it is taken up next: the same list is live again, and no watcher is told the same twice.
		pass(3 * releaseIdle)
		revision := c.Status().Revision
		ch := c.WatchService()
		<-ch
		if err := c.WaitLive(w.Context()); err != nil {
			w.Fatal(err)
		}
		pass(time.Second)
		if s := c.Snapshot(); s.Source != Live || s.Revision != revision || len(ch) != 0 {
			w.Errorf("source %v, revision %d after %d, %d lists in the channel", s.Source, s.Revision, revision, len(ch))
		}
	})
}

// The service was not let go with this clone, because a sibling has it; so the very list that it remembers is live when it is taken up again.
func TestAListThatASiblingKeptIsLiveAgainAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template()
		c, sibling := w.clone(d, "Arith"), w.clone(d, "Arith")
		sibling.WatchService()
		pass(3 * releaseIdle)
		if s := c.view.snapshot(c.root.session.State()); isHeld(c) || s.Source != Stale {
			w.Fatalf("held %v, source %v", isHeld(c), s.Source)
		}
		w.source(c, Live)
		if age := time.Since(c.Snapshot().AsOf); age > 5*time.Second {
			w.Errorf("confirmed %v ago", age)
		}
	})
}

// Nobody had asked before: what the pings have confirmed must not depend on that.
func TestAsOfIsFrozenAtTheDisconnect(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith", WithSessionTimeout(9*time.Second))
		pass(time.Hour)
		stopped := time.Now()
		w.zk.Stop()
		pass(10 * time.Minute)
		s := d.Snapshot()
		if s.AsOf.After(stopped) || s.AsOf.Before(stopped.Add(-4*time.Second)) {
			t.Errorf("confirmed %v before the disconnect, want the last ping", stopped.Sub(s.AsOf))
		}
		w.do(w.zk.Start())
		w.do(d.WaitLive(w.Context()))
		if is := d.Snapshot().AsOf; !is.After(stopped) {
			t.Errorf("live again, confirmed %v", is)
		}
	})
}

// The list that follows is refused: pings go on, and confirm nothing.
func TestAsOfIsNoLaterThanAChangeThatCouldNotBeRead(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith", WithSessionTimeout(9*time.Second))
		pass(time.Hour)
		w.zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoAuth, 1000)
		w.zk.FailNext(zktest.OpMultiRead, zktest.CodeNoAuth, 1000)
		changed := time.Now()
		w.put("Arith", "tcp@b:1", "")
		for range 100 {
			pass(time.Second)
			if s := d.Snapshot(); s.AsOf.After(changed) || s.AsOf.Before(changed.Add(-4*time.Second)) {
				t.Fatalf("confirmed %v before the change", changed.Sub(s.AsOf))
			}
		}
	})
}

// While a filter holds up the loop, a change is hinted and later pings are answered: the loop finds both at once.
func TestPingsBehindAHintThatNobodyHasTakenConfirmNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith", WithSessionTimeout(9*time.Second))
		pass(time.Minute)
		var held atomic.Bool
		d.SetFilter(func(p *client.KVPair) bool {
			if p.Key == "tcp@b:1" && !held.Swap(true) {
				time.Sleep(20 * time.Second)
			}
			return true
		})
		w.put("Arith", "tcp@b:1", "")
		pass(time.Second)
		w.zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoAuth, 1000)
		w.zk.FailNext(zktest.OpMultiRead, zktest.CodeNoAuth, 1000)
		changed := time.Now()
		w.put("Arith", "tcp@c:1", "")
		for range 60 {
			pass(time.Second)
			if s := d.Snapshot(); s.AsOf.After(changed) {
				t.Fatalf("confirmed %v after a change that it does not show", s.AsOf.Sub(changed))
			}
		}
		w.lists(d, "tcp@a:1,tcp@b:1")
	})
}

// Whoever asks for the first time in an hour, at that moment.
func TestAListThatIsBeingReadAgainIsConfirmedUpToTheChange(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith", WithSessionTimeout(9*time.Second))
		pass(time.Hour)
		w.zk.Delay(2 * time.Second)
		changed := time.Now()
		w.put("Arith", "tcp@b:1", "")
		pass(3 * time.Second)
		if s := d.Snapshot(); len(s.Servers) != 1 || s.AsOf.Before(changed.Add(-4*time.Second)) || s.AsOf.After(changed) {
			t.Errorf("%d instances, confirmed %v before the change", len(s.Servers), changed.Sub(s.AsOf))
		}
	})
}

// A view may be asked after the next connection is there and before the service's loop has noticed.
func TestPingsOfAnotherConnectionConfirmNothing(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	v := newView("/rpcx/Arith", new(config), nil)
	v.take(1, nil, 0, time.Time{})
	v.deliver(t.Context(), &list{Shown: belief.Shown{Source: belief.Live, Link: 7, AsOf: at(10)}, service: 1, seq: 1})
	want := func(link int64, heard, want int) {
		t.Helper()
		if got := v.snapshot(session.State{Connected: true, Link: link, Heard: at(heard)}).AsOf; !got.Equal(at(want)) {
			t.Errorf("connection %d, heard %d: confirmed %d, want %d", link, heard, got.Unix(), want)
		}
	}
	want(7, 20, 10) // the loop is not done with it
	v.rest(7, at(10))
	want(7, 20, 20)
	want(7, 30, 30)
	want(8, 40, 30)
	v.rest(0, at(31))
	want(7, 40, 31)
	v.deliver(t.Context(), &list{Shown: belief.Shown{Source: belief.Live, Link: 8, AsOf: at(35)}, service: 1, seq: 2})
	v.rest(8, at(35))
	want(8, 50, 50)
	v.letGo(time.Now().Add(2 * releaseIdle))
	want(8, 60, 50)
	v.take(2, nil, 0, time.Time{})
	want(8, 60, 50)
	v.deliver(t.Context(), &list{Shown: belief.Shown{Source: belief.Override, AsOf: at(5)}, service: 2, seq: 1})
	want(8, 60, 5)
}

// A clone that joined while a change was being read again and again had the list as of an hour ago, and its sibling as of three seconds.
func TestAListIsOfOneMomentForWhoeverJoins(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "n=0")
		template := w.template()
		first := w.clone(template, "Arith")
		first.WatchService()
		pass(time.Hour)
		w.zk.FailNext(zktest.OpGetChildren2, -4, 1<<20)
		w.zk.Delay(2 * time.Second)
		pass(10 * time.Second)
		w.put("Arith", "tcp@b:1", "n=1")
		pass(3 * time.Second)
		second := w.clone(template, "Arith")
		if x, y := first.Snapshot().AsOf, second.Snapshot().AsOf; !x.Equal(y) {
			t.Errorf("the list is as of %v, and as of %v for a clone that has just begun", x, y)
		}
	})
}
