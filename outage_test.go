package holdfast_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Outages while a program runs: O1, O5 and O6.

func TestO1SilenceIsNotNews(t *testing.T) {
	everywhere(t, func(t *world) {
		want := make(map[string]string)
		for i := range 5 {
			t.put(t.service("Arith")+"/"+instance(i), "n=0")
			want[instance(i)] = "n=0"
		}
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		for _, outage := range []struct {
			name       string
			begin, end func()
		}{
			{"refused", t.stop, t.start},
			{"cut", func() { t.cut(true) }, func() { t.cut(false) }},
			{"expired", t.expire, func() {}},
		} {
			connections := d.Status().Connections
			outage.begin()
			if outage.name != "expired" {
				t.eventually("the outage is noticed", func() bool { return d.Snapshot().Source == zkdiscovery.Stale })
				t.lists(d, want)
			}
			outage.end()
			t.eventually("the list is live again", func() bool {
				return d.Snapshot().Source == zkdiscovery.Live && d.Status().Connections > connections
			})
			t.lists(d, want)
		}
		t.put(t.service("Arith")+"/"+instance(5), "n=1") // comes behind everything that may still be on the way
		t.eventually("the news is there", func() bool { return len(watcher.last()) == 6 })
		if heard := watcher.heard(); len(heard) != 2 {
			t.Errorf("watchers have heard of silence: %v", heard)
		}
	})
}

func TestO1ErrorsAreNotNews(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		n := 0
		for _, op := range []zktest.Op{zktest.OpGetChildren2, zktest.OpGetData, zktest.OpExists, zktest.OpSync, zktest.OpSetWatches, zktest.OpConnect} {
			for _, code := range []zktest.Code{zktest.CodeRuntimeInconsistency, zktest.CodeNoAuth, zktest.CodeMarshallingError, -4, -110, -127, 99} {
				n++
				zk.FailNext(op, code, 3)
				must(t.T, zk.Set(t.service("Arith")+"/"+instance(0), fmt.Appendf(nil, "n=%d", n)))
				must(t.T, zk.Create(t.service("Arith")+fmt.Sprintf("/tcp@127.2.0.%d:8972", n), nil))
				if op >= zktest.OpSetWatches || op == zktest.OpSync || op == zktest.OpConnect {
					zk.DropConnections()
				}
				if op == zktest.OpSync {
					zk.ExpireAll()
				}
				pass(2 * time.Minute)
				zk.FailNext(op, 0, 0)
				pass(2 * time.Minute)
				t.source(d, zkdiscovery.Live)
				t.lists(d, t.children(t.service("Arith")))
			}
		}
		shorter := 0
		for _, list := range watcher.heard() {
			if len(list) < shorter {
				t.Fatalf("an error has removed instances: %d of %d are left", len(list), shorter)
			}
			shorter = len(list)
		}
	})
}

// An ensemble with one more node than a reply may have bytes is nothing that a test can build; a reply that claims to be too long will do.
func TestReplyOverTheSizeLimitKeepsTheListAndBacksOff(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		var huge atomic.Bool
		way := &dialer{to: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := zk.Dial(ctx, network, addr)
			return &exaggerating{Conn: c, on: &huge}, err
		}}
		d := t.discover("Arith", zkdiscovery.WithDialer(way.dial))
		lines, attempts := len(t.log.edges()), len(way.attempts())
		huge.Store(true)
		t.put(t.service("Arith")+"/"+instance(1), "n=0")
		pass(time.Hour)
		t.source(d, zkdiscovery.Stale)
		t.lists(d, map[string]string{instance(0): "n=0"})
		if n := len(way.attempts()) - attempts; n > int(time.Hour/(2*time.Second)) {
			t.Errorf("%d connections in an hour: that is no backing off", n)
		}
		edges := t.log.edges()[lines:]
		if len(edges) > 12 || count(edges, "size limit") == 0 {
			t.Errorf("logged: %d lines, %q", len(edges), edges[:min(20, len(edges))])
		}
		if st := d.Status(); st.LastErr == nil || !strings.Contains(st.LastErr.Error(), "size limit") {
			t.Errorf("the status does not say so: %v", st.LastErr)
		}
		huge.Store(false)
		pass(2 * time.Minute)
		t.source(d, zkdiscovery.Live)
		t.lists(d, t.children(t.service("Arith")))
	})
}

// healed are faults, each with how to end it: after that, ZooKeeper and the network are healthy.
var healed = []struct {
	name  string
	begin func(*world, *zktest.Server, *dialer)
	end   func(*world, *zktest.Server, *dialer)
}{
	{
		"refused",
		func(w *world, _ *zktest.Server, _ *dialer) { w.stop() },
		func(w *world, _ *zktest.Server, _ *dialer) { w.start() },
	},
	{
		"silent",
		func(w *world, _ *zktest.Server, _ *dialer) { w.cut(true) },
		func(w *world, _ *zktest.Server, _ *dialer) { w.cut(false) },
	},
	{
		"half open: the old connection is silent for ever, new ones work",
		func(w *world, zk *zktest.Server, way *dialer) {
			way.strand()
			way.redirect(refuse)
		},
		func(_ *world, zk *zktest.Server, way *dialer) { way.redirect(zk.Dial) },
	},
	{
		"expired",
		func(_ *world, zk *zktest.Server, way *dialer) { zk.ExpireAll(); way.redirect(refuse); way.drop() },
		func(_ *world, zk *zktest.Server, way *dialer) { way.redirect(zk.Dial) },
	},
	{
		"expired, and again every second",
		func(w *world, zk *zktest.Server, _ *dialer) {
			for range 10 {
				zk.ExpireAll()
				pass(time.Second)
			}
		},
		func(*world, *zktest.Server, *dialer) {},
	},
	{
		"wiped",
		func(w *world, zk *zktest.Server, way *dialer) { way.redirect(refuse); way.drop() },
		func(w *world, zk *zktest.Server, way *dialer) {
			zk.Wipe()
			w.put(w.service("Arith")+"/"+instance(7), "n=7")
			way.redirect(zk.Dial)
		},
	},
	{
		"restored from a backup",
		func(w *world, zk *zktest.Server, way *dialer) {
			zk.Checkpoint()
			for i := range 20 {
				w.put(w.service("Arith")+"/"+instance(20+i), "n=20")
			}
			pass(time.Second)
			way.redirect(refuse)
			way.drop()
		},
		func(w *world, zk *zktest.Server, way *dialer) { zk.Rollback(); way.redirect(zk.Dial) },
	},
	{
		"credentials refused",
		func(_ *world, zk *zktest.Server, way *dialer) {
			zk.FailNext(zktest.OpAuth, zktest.CodeAuthFailed, 1<<30)
			way.drop()
		},
		func(_ *world, zk *zktest.Server, _ *dialer) { zk.FailNext(zktest.OpAuth, 0, 0) },
	},
	{
		"accepts and hangs up",
		func(_ *world, zk *zktest.Server, way *dialer) {
			zk.CutBefore(zktest.OpConnect, 1<<30)
			way.drop()
		},
		func(_ *world, zk *zktest.Server, _ *dialer) { zk.CutBefore(zktest.OpConnect, 0) },
	},
	{
		"the handshake's answer is lost",
		func(_ *world, zk *zktest.Server, way *dialer) {
			zk.CutAfter(zktest.OpConnect, 1<<30)
			way.drop()
		},
		func(_ *world, zk *zktest.Server, _ *dialer) { zk.CutAfter(zktest.OpConnect, 0) },
	},
	{
		"hangs up on every request",
		func(w *world, zk *zktest.Server, way *dialer) {
			for _, op := range []zktest.Op{zktest.OpGetChildren2, zktest.OpGetData, zktest.OpExists, zktest.OpSync} {
				zk.CutBefore(op, 1<<30)
			}
			way.drop()
		},
		func(_ *world, zk *zktest.Server, _ *dialer) {
			for _, op := range []zktest.Op{zktest.OpGetChildren2, zktest.OpGetData, zktest.OpExists, zktest.OpSync} {
				zk.CutBefore(op, 0)
			}
		},
	},
	{
		"the watches cannot be set again",
		func(_ *world, zk *zktest.Server, way *dialer) {
			zk.FailNext(zktest.OpSetWatches, zktest.CodeMarshallingError, 1<<30)
			way.drop()
		},
		func(_ *world, zk *zktest.Server, _ *dialer) { zk.FailNext(zktest.OpSetWatches, 0, 0) },
	},
}

func refuse(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }

func TestO5LiveAgainWithinTheSessionTimeoutAndOneBackoff(t *testing.T) {
	for _, fault := range healed {
		for _, lasts := range []time.Duration{0, 3 * time.Second, 40 * time.Second, 20 * time.Minute} {
			t.Run(fmt.Sprintf("%s for %v", fault.name, lasts), func(t *testing.T) {
				inBubble(t, func(t *world, zk *zktest.Server) {
					way := &dialer{to: zk.Dial}
					for i := range 5 {
						t.put(t.service("Arith")+"/"+instance(i), "n=0")
					}
					d := t.discover("Arith", zkdiscovery.WithDialer(way.dial), zkdiscovery.WithAuth("digest", []byte("user:secret")))
					watcher := follow(t.T, d)
					fault.begin(t, zk, way)
					pass(lasts)
					must(t.T, zk.Set(t.service("Arith")+"/"+instance(0), []byte("n=1")))
					must(t.T, zk.Delete(t.service("Arith")+"/"+instance(1)))
					fault.end(t, zk, way)
					pass(10*time.Second + 5*time.Second)
					t.source(d, zkdiscovery.Live)
					t.lists(d, t.children(t.service("Arith")))
					t.put(t.service("Arith")+"/"+instance(9), "n=9")
					t.set(t.service("Arith")+"/"+instance(9), "n=10")
					pass(time.Second)
					want := t.children(t.service("Arith"))
					t.lists(d, want)
					if got := watcher.last(); got[instance(9)] != "n=10" {
						t.Errorf("a watcher has %v, not %v", got, want)
					}
				})
			})
		}
	}
}

func TestO5NamesAreLookedUpAgain(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		moved := zktest.NewServer()
		t.Cleanup(moved.Close)
		must(t.T, moved.Put(t.service("Arith")+"/"+instance(1), []byte("n=1")))
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		way := &dialer{to: zk.Dial}
		d := t.discover("Arith", zkdiscovery.WithDialer(way.dial))
		zk.Stop()
		pass(time.Minute)
		way.redirect(moved.Dial)
		pass(10*time.Second + 5*time.Second)
		t.source(d, zkdiscovery.Live)
		t.lists(d, map[string]string{instance(1): "n=1"})
		d.Close()
	})
}

func TestO6OutageIsAHandfulOfLinesAndSpacedAttempts(t *testing.T) {
	for _, fault := range healed {
		if strings.HasPrefix(fault.name, "expired, and") {
			continue // that is no outage
		}
		t.Run(fault.name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				way := &dialer{to: zk.Dial}
				t.put(t.service("Arith")+"/"+instance(0), "n=0")
				d := t.discover("Arith", zkdiscovery.WithDialer(way.dial), zkdiscovery.WithAuth("digest", []byte("user:secret")))
				pass(time.Minute)
				lines, attempts := len(t.log.edges()), len(way.attempts())
				fault.begin(t, zk, way)
				pass(2 * time.Hour)
				spaced(t, way.attempts()[attempts:])
				fault.end(t, zk, way)
				pass(time.Minute)
				t.source(d, zkdiscovery.Live)
				if got := t.log.edges()[lines:]; len(got) > 14 {
					t.Errorf("logged %d lines in an outage, such as %q", len(got), got[max(0, len(got)-20):])
				}
			})
		})
	}
}

// spaced fails the test unless rounds of attempts to connect are a few seconds apart after the first minute, and not in step. A round is one
// attempt here, or two where the server hangs up: the second asks whether it would rather have a client that knows nothing.
func spaced(t *world, times []time.Time) {
	t.Helper()
	gaps := make(map[time.Duration]int)
	for i, at := range times {
		if at.Sub(times[0]) < time.Minute {
			continue
		}
		gap := at.Sub(times[i-2]).Round(10 * time.Millisecond)
		gaps[gap]++
		if gap < 2*time.Second {
			t.Errorf("three attempts within %v, %v after the first", gap, at.Sub(times[0]))
			return
		}
	}
	if len(times) > 100 && len(gaps) < 20 {
		t.Errorf("the attempts are in step: %v", gaps)
	}
}
