package lists

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// What persistent watches and batched reads cost, counted. The environment may do without them (HOLDFAST_WIRE=off); here they are meant.

func TestWithTheWireExtensionAChangeIsOneSmallReadWhateverTheSize(t *testing.T) {
	for _, size := range []int{10, 1000, 5000} {
		for _, version := range []zktest.Version{zktest.Version38, zktest.Version39} {
			t.Run(fmt.Sprint(size, version), func(t *testing.T) {
				t.Setenv("HOLDFAST_WIRE", "")
				harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
					path := func(i int) string { return t.Node("Arith", i) }
					for i := range size {
						t.Put(path(i), "weight=1&group=a")
					}
					before := zk.Stats()
					d := t.Discover("Arith")
					t.Follow(d)
					if asked := asked(zk.Stats().Since(before)); asked > 16 {
						t.Errorf("starting has cost %d requests", asked)
					}
					for name, change := range map[string]func(){
						"added":    func() { t.Put(path(size), "weight=1&group=a") },
						"removed":  func() { harness.Must(t, zk.Delete(path(1))) },
						"changed":  func() { t.Set(path(2), "weight=2&group=a") },
						"the same": func() { t.Set(path(4), "weight=1&group=a") },
						"the path": func() { t.Set(t.Service("Arith"), "x") },
					} {
						before := zk.Stats()
						change()
						harness.Pass(100 * time.Millisecond)
						st := zk.Stats().Since(before)
						if asked(st) > 1 || st.BytesOut > 500 {
							t.Errorf("%s: %d bytes, %v", name, st.BytesOut, st.Requests)
						}
						t.Lists(d, t.Children(t.Service("Arith")))
					}
					before = zk.Stats()
					t.Put(path(0)+"/lock", "") // somebody else's, below an instance
					t.Put(t.Node("Other", 0), "")
					harness.Pass(100 * time.Millisecond)
					if st := zk.Stats().Since(before); asked(st) > 0 {
						t.Errorf("what is no instance: %v", st.Requests)
					}
					if got := zk.Stats().Watches; got != 1 {
						t.Errorf("%d watches", got)
					}
				})
			})
		}
	}
}

func TestWithTheWireExtensionAChangeTakesTwoRoundTripsAndAStartFour(t *testing.T) {
	t.Setenv("HOLDFAST_WIRE", "")
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		const rtt = 100 * time.Millisecond
		for i := range 1000 {
			t.Put(t.Node("Arith", i), "weight=1&group=a")
		}
		zk.Delay(rtt)
		began := time.Now()
		d := t.Discover("Arith")
		ch := d.WatchService()
		<-ch
		if took := time.Since(began); took > 4*rtt { // the handshake, with the first question; addWatch; the list; the instances
			t.Errorf("a start took %v", took)
		}
		began = time.Now()
		t.Put(t.Node("Arith", 1000), "weight=1")
		<-ch
		if took := time.Since(began); took > 2*rtt { // the event's way, and the read
			t.Errorf("a change took %v", took)
		}
	})
}

// A mass expiry is thousands of events: they are read together.
func TestWithTheWireExtensionAMassExpiryIsAHandfulOfReads(t *testing.T) {
	if os.Getenv("HOLDFAST_WIRE") == "off" {
		t.Setenv("HOLDFAST_WIRE", "")
	}
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		for i := range 3000 {
			t.Put(t.Node("Arith", i), "weight=1")
		}
		d := t.Discover("Arith")
		t.Follow(d)
		zk.Delay(10 * time.Millisecond)
		before := zk.Stats()
		for i := range 1000 {
			harness.Must(t, zk.Delete(t.Node("Arith", i)))
		}
		harness.Pass(time.Second)
		if st := zk.Stats().Since(before); asked(st) > 12 {
			t.Errorf("%v", st.Requests)
		}
		t.Lists(d, t.Children(t.Service("Arith")))
	})
}
