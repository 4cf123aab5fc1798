package zkdiscovery

import (
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// The first calls of a OneClient failed with "can not found any server" where ZooKeeper took 80 ms to answer: Clone had returned without a list.
func TestACloneOfAColdTemplateHasItsList(t *testing.T) {
	for _, delay := range []time.Duration{0, 80 * time.Millisecond, 500 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.put("Arith", "tcp@a:1", "")
				w.put("Echo", "tcp@e:1", "")
				w.zk.Delay(delay)
				d := w.template()
				w.lists(w.clone(d, "Arith"), "tcp@a:1")
				w.lists(w.clone(d, "Echo"), "tcp@e:1")
				began := time.Now()
				w.lists(w.clone(d, "Arith"), "tcp@a:1")
				if took := time.Since(began); took > 0 {
					t.Errorf("a clone of what a sibling has took %v", took)
				}
			})
		})
	}
}

// What it waits for is an answer, not a list.
func TestAnyAnswerAboutItsServiceEndsAClonesWait(t *testing.T) {
	const delay = 80 * time.Millisecond
	for name, answer := range map[string]func(w *world){
		"it does not exist": func(*world) {},
		"it may not be listed": func(w *world) {
			w.put("Arith", "tcp@a:1", "")
			w.zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoAuth, 1000)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				answer(w)
				w.zk.Delay(delay)
				d := w.template()
				for range 2 {
					began := time.Now()
					w.lists(w.clone(d, "Arith"), "")
					if took := time.Since(began); took < delay && took > 0 || took > 8*delay {
						t.Errorf("a clone took %v", took)
					}
				}
			})
		})
	}
}

func TestACloneWithAFileWaitsForZooKeeperShortly(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.discover("Arith").Close()
		w.zk.Silence(true)
		d := w.template()
		for _, limit := range []time.Duration{cloneFallback, 0} {
			began := time.Now()
			c := w.clone(d, "Arith")
			w.lists(c, "tcp@a:1")
			w.source(c, File)
			if took := time.Since(began); took > limit {
				t.Errorf("a clone took %v, want at most %v", took, limit)
			}
		}
	})
}

// rpcx's OneClient holds a lock of all its services meanwhile.
func TestOneCloneAtMostWaitsForTheWholeStartTimeoutInVain(t *testing.T) {
	const timeout = 2 * time.Second
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.put("Echo", "tcp@e:1", "")
		w.put("Late", "tcp@l:1", "")
		takes := func(d *Discovery, service string, atLeast, atMost time.Duration, want string) {
			t.Helper()
			began := time.Now()
			c := w.clone(d, service)
			if took := time.Since(began); took < atLeast || took > atMost {
				t.Errorf("a clone of %s took %v, want %v to %v", service, took, atLeast, atMost)
			}
			w.lists(c, want)
		}
		d := w.template(WithStartTimeout(timeout), WithSessionTimeout(time.Minute))
		pass(time.Second)
		w.zk.Silence(true)
		takes(d, "Arith", timeout, timeout, "")
		takes(d, "Echo", cloneWait, cloneWait, "")
		takes(d, "Another", cloneWait, cloneWait, "")
		w.zk.Silence(false)
		pass(2 * time.Minute) // ZooKeeper answers again
		w.zk.Delay(300 * time.Millisecond)
		takes(d, "Late", 300*time.Millisecond, timeout, "tcp@l:1")
	})
}

func TestAClonesWaitEndsWithTheTemplateAndWithTheConnection(t *testing.T) {
	for name, end := range map[string]func(w *world, d *Discovery){
		"closed":     func(_ *world, d *Discovery) { d.Close() },
		"hung up on": func(w *world, _ *Discovery) { w.zk.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				d := w.template(WithSessionTimeout(time.Minute))
				pass(time.Second)
				w.zk.Silence(true)
				began := time.Now()
				var took time.Duration
				go func() { w.clone(d, "Arith"); took = time.Since(began) }()
				pass(time.Second)
				end(w, d)
				pass(10 * time.Second)
				if took < time.Second || took > time.Second+cloneWait {
					t.Errorf("the clone took %v, want a second", took)
				}
			})
		})
	}
}

func TestServiceIsATypedClone(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.put("Arith", "tcp@b:1", "")
		w.put("Echo", "tcp@a:1", "")
		w.put("Echo", "tcp@b:1", "")
		d := w.template(WithFilter(func(p *client.KVPair) bool { return p.Key != "tcp@b:1" }))
		arith := d.Service("Arith")
		w.lists(arith, "tcp@a:1")
		w.lists(arith.Service("Echo"), "tcp@a:1")
		if n := d.Status().Connections; n != 1 {
			t.Errorf("%d connections", n)
		}
		for _, name := range []string{"", "a//b", "/", "../x"} {
			if c := d.Service(name); c == nil || c.Status().LastErr == nil || len(c.GetServices()) > 0 || c.Live() {
				t.Errorf("%q: %v, want an inert Discovery", name, c)
			}
		}
		d.Close()
		wantError(t, d.Service("Arith").Status().LastErr, ErrClosed)
	})
}

func TestLiveIsWhatWaitLiveWaitsFor(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.zk.Stop()
		d := w.template()
		if d.Live() {
			t.Error("a template that is not connected is live")
		}
		w.do(w.zk.Start())
		w.do(d.WaitLive(w.Context()))
		c := d.Service("Arith")
		w.do(c.WaitLive(w.Context()))
		live := func(want bool) {
			t.Helper()
			if d.Live() != want || c.Live() != want {
				t.Errorf("template %v, clone %v; want %v", d.Live(), c.Live(), want)
			}
		}
		live(true)
		w.zk.Stop()
		pass(time.Second)
		live(false)
		w.do(w.zk.Start())
		pass(releaseIdle / 2)
		live(true)
		for range 30 { // a selector that asks is a use
			pass(10 * time.Second)
			live(true)
		}
		d.Close()
		live(false)
	})
}
