package zkdiscovery

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A program that waited at its start for a clone that nobody watched waited for ever: the outage lasted for more than a minute, and the clone was let
// go meanwhile.
func TestWaitingIsUsing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template()
		pass(time.Second)
		w.zk.Stop()
		c := w.clone(d, "Arith")
		waited := make(chan error)
		ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
		defer cancel()
		go func() { waited <- c.WaitLive(ctx) }()
		pass(3 * releaseIdle)
		if !isHeld(c) {
			t.Error("let go while somebody waits for it")
		}
		w.do(w.zk.Start())
		began := time.Now()
		if err := <-waited; err != nil || time.Since(began) > time.Minute {
			t.Errorf("%v after ZooKeeper was back: %v", time.Since(began), err)
		}
		pass(2*releaseIdle + time.Second)
		if isHeld(c) {
			t.Error("a wait that is over keeps it for ever")
		}
	})
}

func TestEveryCallThatTellsSomethingIsAUseForAMinute(t *testing.T) {
	for name, call := range map[string]func(w *world, c *Discovery){
		"GetServices": func(_ *world, c *Discovery) { c.GetServices() },
		"Snapshot":    func(_ *world, c *Discovery) { c.Snapshot() },
		"Status":      func(_ *world, c *Discovery) { _ = c.Status() },
		"WaitLive":    func(w *world, c *Discovery) { _ = c.WaitLive(w.Context()) },
		"watching":    func(_ *world, c *Discovery) { c.RemoveWatcher(c.WatchService()) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.put("Arith", "tcp@a:1", "")
				c := w.clone(w.template(), "Arith")
				pass(3 * releaseIdle)
				if isHeld(c) {
					t.Fatal("held although nobody uses it")
				}
				call(w, c)
				if pass(time.Second); !isHeld(c) {
					t.Fatal("not taken up again")
				}
				for range 30 { // a probe that asks every 10 s
					pass(10 * time.Second)
					call(w, c)
				}
				if !isHeld(c) {
					t.Error("let go although it was used all the time")
				}
			})
		})
	}
}

// README tells people to alert on a list that is stale while ZooKeeper is connected.
func TestStatusOfACloneThatWasLetGoSaysThatItResumes(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		c := w.clone(w.template(), "Arith")
		if st := c.Status(); st.Source != Live || st.Resuming {
			t.Errorf("at first: %+v", st)
		}
		pass(3 * releaseIdle)
		w.zk.Delay(10 * time.Millisecond)
		if st := c.Status(); st.Source != Stale || !st.Resuming || st.Instances != 1 {
			t.Errorf("let go: %+v", st)
		}
		for range 30 {
			pass(10 * time.Second)
			if st := c.Status(); st.Source != Live || st.Resuming {
				t.Fatalf("asked again: %+v", st)
			}
		}
		w.zk.Stop()
		pass(time.Second)
		if st := c.Status(); st.Source != Stale || st.Resuming {
			t.Errorf("in an outage: %+v", st)
		}
		c.Close()
		if st := c.Status(); st.Source != Stale || st.Resuming {
			t.Errorf("closed: %+v", st)
		}
	})
}

func TestAnUnknownChannelIsNoUse(t *testing.T) {
	inBubble(t, func(w *world) {
		c := w.clone(w.template(), "Arith")
		pass(3 * releaseIdle)
		c.RemoveWatcher(nil)
		if isHeld(c) {
			t.Error("taken up again by somebody who does not watch it")
		}
	})
}

// C4.
func TestAfterCloseNothingIsTakenUp(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template()
		kept, closed, ofClosed := w.clone(d, "Arith"), w.clone(d, "Arith"), w.clone(d, "Arith")
		kept.WatchService()
		ch := closed.WatchService()
		<-ch
		closed.Close()
		uses := func(c *Discovery) {
			t.Helper()
			c.RemoveWatcher(ch)
			c.RemoveWatcher(c.WatchService())
			c.Snapshot()
			w.lists(c, "tcp@a:1")
			w.source(c, Stale)
			if err := c.WaitLive(w.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("WaitLive: %v, want ErrClosed", err)
			}
			if inert := w.clone(c, "Arith"); !errors.Is(inert.Status().LastErr, ErrClosed) || len(inert.GetServices()) > 0 {
				t.Errorf("its clone is not inert: %v", inert.Status())
			}
		}
		uses(closed)
		if n := len(d.root.services["/rpcx/Arith"].views); n != 2 {
			t.Errorf("%d clones have the service, want 2", n)
		}
		d.Close()
		uses(ofClosed)
		w.put("Arith", "tcp@b:1", "")
		pass(time.Minute)
		uses(ofClosed)
		if len(ch) > 0 {
			t.Error("something was delivered after Close")
		}
	})
}
