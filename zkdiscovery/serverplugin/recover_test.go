package serverplugin

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rcrowley/go-metrics"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// recovery is how long a registration may take to be whole again once ZooKeeper is healthy: the session timeout and one backoff.
const recovery = 15 * time.Second

// TestRegistrationRecovers is promise R1: whatever happens, in the end the node is there, ours, ephemeral, and says what it is to say.
func TestRegistrationRecovers(t *testing.T) {
	for what, happens := range map[string]func(b bubble){
		"nothing":             func(bubble) {},
		"the session expires": func(b bubble) { b.zk.ExpireAll() },
		"it expires again and again": func(b bubble) {
			for range 20 {
				b.zk.ExpireAll()
				pass(100 * time.Millisecond)
			}
		},
		"the network is cut for less than the session": func(b bubble) {
			b.zk.Silence(true)
			pass(5 * time.Second)
			b.zk.Silence(false)
		},
		"the network is cut for longer": func(b bubble) {
			b.zk.Silence(true)
			pass(time.Minute)
			b.zk.Silence(false)
		},
		"the node is deleted by hand":     func(b bubble) { must(b, b.zk.Delete(nodePath)) },
		"the node is overwritten by hand": func(b bubble) { must(b, b.zk.Set(nodePath, []byte("by hand"))) },
		"it is overwritten in a row": func(b bubble) {
			for range 10 {
				must(b, b.zk.Set(nodePath, []byte("by hand")))
				pass(0)
			}
		},
		"a persistent node is put in its place": func(b bubble) {
			must(b, b.zk.Delete(nodePath))
			must(b, b.zk.Put(nodePath, []byte("by hand")))
		},
		"its parents are deleted": func(b bubble) {
			for b.zk.Delete(nodePath) == nil {
			}
			_ = b.zk.Delete("/rpcx/Arith") // the node may be back before
			_ = b.zk.Delete("/rpcx")
		},
		"ZooKeeper is wiped": func(b bubble) { b.zk.Wipe() },
		"ZooKeeper is restored from a backup that knew the session": func(b bubble) {
			b.zk.Checkpoint()
			b.zk.ExpireAll()
			pass(time.Second)
			b.zk.Rollback()
		},
		"ZooKeeper is restored from a backup that has the node, as it was": func(b bubble) {
			must(b, b.zk.Set(nodePath, []byte("weight=3&group=b"))) // is overruled at once, but not in the backup
			b.zk.Checkpoint()
			pass(time.Second)
			b.zk.Refuse(true)
			b.zk.Rollback()
			for range 10 { // others have written since: the session goes on, and to its watch the node has not changed
				must(b, b.zk.Put("/others", nil))
			}
			b.zk.Refuse(false)
		},
		"ZooKeeper is away for an hour": func(b bubble) {
			b.zk.Stop()
			pass(time.Hour)
			must(b, b.zk.Start())
		},
		"it refuses for an hour, and the session expires": func(b bubble) {
			b.zk.Refuse(true)
			b.zk.DropConnections()
			pass(time.Hour)
			b.zk.Refuse(false)
		},
		"the answer to a restoration is lost": func(b bubble) {
			b.zk.CutAfter(zktest.OpCreate, 1)
			must(b, b.zk.Delete(nodePath))
		},
		"the restoration is lost": func(b bubble) {
			b.zk.CutBefore(zktest.OpCreate, 1)
			must(b, b.zk.Delete(nodePath))
		},
		"ZooKeeper refuses the restoration for a while": func(b bubble) {
			b.zk.FailNext(zktest.OpCreate, zktest.CodeNoAuth, 10)
			must(b, b.zk.Delete(nodePath))
			pass(time.Minute)
		},
		"reads fail, then it expires": func(b bubble) {
			b.zk.FailNext(zktest.OpGetData, -125, 3)
			b.zk.ExpireAll()
		},
	} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(b bubble) {
				p := b.plugin()
				b.register(p, "Arith", "weight=3&group=a")
				pass(time.Second)
				b.mustOwn(p, "weight=3&group=a")
				happens(b)
				pass(recovery)
				b.mustOwn(p, "weight=3&group=a")
				must(b, p.Stop())
				b.mustBeGone()
			})
		})
	}
}

func must(b bubble, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func TestRegistrationAppearsWhenZooKeeperDoes(t *testing.T) {
	for _, d := range []time.Duration{time.Second, time.Hour} {
		inBubble(t, func(b bubble) {
			var log strings.Builder
			b.zk.Stop()
			p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			b.register(p, "Arith", "weight=3")
			pass(d)
			ctx, cancel := context.WithCancel(b.Context())
			cancel()
			if err := p.WaitRegistered(ctx); p.Registered() || err == nil || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("registered without ZooKeeper: %v", err)
			}
			if n := strings.Count(log.String(), "no ZooKeeper server usable"); n != 1 {
				t.Errorf("told %d times:\n%s", n, log.String())
			}
			must(b, b.zk.Start())
			pass(recovery)
			b.mustOwn(p, "weight=3")
		})
	}
}

func TestAfterAnExpiryItIsBackWithinABackoff(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithZKMetrics(metrics.NewRegistry()), WithZkUpdateInterval(time.Hour)) // not at the next tick
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		for range 20 {
			b.zk.ExpireAll()
			pass(session.MaxBackoff)
			b.mustOwn(p, "weight=3")
		}
	})
}

func TestRegisteredIsFalseWhenTheSessionMayBeOver(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		if p.Registered() {
			t.Error("registered without a service")
		}
		b.register(p, "Arith", "")
		pass(time.Minute)
		if !p.Registered() {
			t.Fatal(p.Status())
		}
		b.zk.Silence(true)
		pass(6 * time.Second) // a ping was answered 4 s ago at most
		if !p.Registered() {
			t.Error("not registered within the session timeout")
		}
		pass(5 * time.Second)
		if st := p.Status(); p.Registered() || st.Registered || st.Services[0].Phase != Pending {
			t.Errorf("registered although the session may have expired: %+v", st)
		}
		b.zk.Silence(false)
		pass(recovery)
		b.mustOwn(p, "")
	})
}

func TestWaitRegisteredNoticesThatTheSessionHasSurvived(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.Stop()
		pass(time.Minute) // it may be over, for all that anybody knows
		done := make(chan error, 1)
		go func() { done <- p.WaitRegistered(b.Context()) }()
		pass(time.Minute)
		if p.Registered() {
			b.Error(p.Status())
		}
		must(b, b.zk.Start())
		must(b, <-done)
		b.mustOwn(p, "")
		if st := p.Status(); st.Sessions != 1 {
			b.Errorf("%d sessions: nothing was tested", st.Sessions)
		}
	})
}

func TestStatusIsOneLineForAPerson(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		must(b, p.WaitRegistered(b.Context()))
		b.register(b.plugin(), "Echo", "")
		pass(time.Second)
		b.register(p, "Echo", "")
		b.register(b.plugin(), "Arith", "")
		pass(time.Second)
		if got, want := p.Status().String(), "2 services, 1 registered, 1 yielded; connected to zk:2181 since 2000-01-01T00:00:00Z"; got != want {
			b.Errorf("%q, want %q", got, want)
		}
		for i, phase := range []Phase{Yielded, Registered} {
			if sv := p.Status().Services[i]; sv.Phase != phase || time.Since(sv.Since) != time.Second {
				b.Errorf("%+v", sv)
			}
		}
		b.zk.Stop()
		pass(time.Minute)
		b.register(p, "New", "")
		if err := p.Unregister("Echo"); !errors.Is(err, ErrUnconfirmed) {
			b.Error(err)
		}
		want := "3 services, 1 pending, 1 yielded, 1 unregistering; not connected since 2000-01-01T00:00:02Z: dial tcp zk:2181: connect: connection refused"
		if got := p.Status().String(); got != want {
			b.Errorf("%q, want %q", got, want)
		}
	})
}

func TestStatusSaysWhatAServiceWaitsFor(t *testing.T) {
	for want, waits := range map[string]func(b bubble) ZooKeeperOpt{
		"the server does not listen yet": func(bubble) ZooKeeperOpt { return WithServer(server.NewServer()) },
		"the program is not ready":       func(bubble) ZooKeeperOpt { return WithReady(func(context.Context) error { return errCold }) },
		"connection refused":             func(b bubble) ZooKeeperOpt { b.zk.Stop(); return nil },
	} {
		inBubble(t, func(b bubble) {
			p := b.plugin(waits(b))
			b.register(p, "Arith", "")
			pass(time.Minute)
			var op *OpError
			if err := p.Status().Services[0].Err; !errors.As(err, &op) || op.Path != nodePath || !strings.Contains(err.Error(), want) {
				b.Errorf("%v, want %s", err, want)
			}
		})
	}
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.Stop()
		pass(time.Second) // it is registered as far as anybody knows
		if err := p.Status().Services[0].Err; err != nil {
			b.Error(err)
		}
		pass(time.Minute)
		if st := p.Status().Services[0]; st.Err == nil || st.Phase != Pending {
			b.Errorf("%+v", st)
		}
	})
}

func TestAServiceMayStandBelowAnother(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		names := []string{"Arith", "Arith/fast", "Arith/fast/er"}
		for _, name := range names {
			b.register(p, name, "weight=3")
		}
		pass(time.Second)
		for _, name := range names {
			d, err := zkdiscovery.New("rpcx", name, []string{"zk:2181"}, zkdiscovery.WithDialer(b.zk.Dial), zkdiscovery.WithoutCache())
			if err != nil {
				b.Fatal(err)
			}
			if got := d.GetServices(); len(got) != 1 || got[0].Key != address || got[0].Value != "weight=3" {
				b.Errorf("%s: a client sees %+v", name, got)
			}
			d.Close()
		}
		must(b, p.Unregister("Arith"))
		b.mustBeGone()
		if _, err := b.zk.Get("/rpcx/Arith/fast/" + address); err != nil {
			b.Error(err)
		}
	})
}

func TestParentsAreCreatedAsThePeerDoesAndLeftAlone(t *testing.T) {
	inBubble(t, func(b bubble) {
		must(b, b.zk.Put("/a/b", []byte("theirs")))
		p := b.plugin(WithZKBasePath("/a/b/c/"))
		b.register(p, "/x/Arith/", "")
		b.register(p, "Echo", "")
		pass(time.Second)
		tree := b.zk.Tree()
		for path, data := range map[string]string{
			"/a/b": "theirs", "/a/b/c": "rpcx_path", "/a/b/c/x": "", "/a/b/c/x/Arith": "x/Arith", "/a/b/c/Echo": "Echo",
		} {
			if n, ok := tree[path]; !ok || string(n.Data) != data || n.Stat.EphemeralOwner != 0 || n.Stat.Version != 0 {
				t.Errorf("%s: %+v, want persistent, %q", path, n, data)
			}
		}
		for _, path := range []string{"/a/b/c/x/Arith/" + address, "/a/b/c/Echo/" + address} {
			if tree[path].Stat.EphemeralOwner == 0 {
				t.Errorf("%s: %+v", path, tree[path])
			}
		}
	})
}
