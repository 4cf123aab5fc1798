package serverplugin

import (
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/internal/impatient"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// recovers waits until p is registered with data, which must be within the session timeout and one backoff: ZooKeeper is healthy.
func (r realZooKeeper) recovers(p *ZooKeeperRegisterPlugin, what, data string) {
	r.Helper()
	const busy = 5 * time.Second // the machine may be
	start := time.Now()
	r.soon(what+", and registered again", func() bool { return r.owns(p, data) })
	took := time.Since(start)
	r.Logf("%s, registered after %v", what, took)
	if limit := childSession + session.MaxBackoff; took > limit+busy {
		r.Errorf("%s, registered after %v, want %v", what, took, limit)
	}
}

func testNetworkCut(r realZooKeeper) {
	proxy, err := zktest.NewProxy(r.ensemble.Servers()[0])
	if err != nil {
		r.Fatal(err)
	}
	defer proxy.Close()
	p := r.plugin(WithZKServersAddress([]string{proxy.Addr()}))
	r.register(p, "weight=3")
	was := p.Status().SessionID
	proxy.Cut(true)
	r.soon("the plugin says that it is not registered", func() bool { return !p.Registered() })
	r.soon("the node is gone", func() bool { ok, _, _ := r.conn.Exists(r.node()); return !ok })
	proxy.Cut(false)
	r.recovers(p, "the cut is over", "weight=3")
	if p.Status().SessionID == was {
		r.Error("the session has survived: nothing was tested")
	}
}

func testChangesByHand(r realZooKeeper) {
	p := r.plugin()
	r.register(p, "weight=3")
	for what, change := range map[string]func() error{
		"deleted":     func() error { return r.conn.Delete(r.node(), -1) },
		"overwritten": func() error { _, err := r.conn.Set(r.node(), []byte("by hand"), -1); return err },
		"replaced by a persistent node": func() error {
			_, err := r.conn.Multi(&zk.DeleteRequest{Path: r.node(), Version: -1},
				&zk.CreateRequest{Path: r.node(), Acl: zk.WorldACL(zk.PermAll)})
			return err
		},
		"deleted with its parent": func() error {
			_, err := r.conn.Multi(&zk.DeleteRequest{Path: r.node(), Version: -1}, &zk.DeleteRequest{Path: r.base + "/Arith", Version: -1})
			return err
		},
	} {
		_, before, _ := r.conn.Get(r.node())
		if err := change(); err != nil {
			r.Fatal(what, ": ", err)
		}
		r.recovers(p, what, "weight=3")
		if _, st, err := r.conn.Get(r.node()); err != nil || st.Mzxid == before.Mzxid {
			r.Errorf("%s: nothing has happened: %+v, %v", what, st, err)
		}
	}
}

func testAwayAndWiped(r realZooKeeper) {
	if err := r.ensemble.Kill(0); err != nil {
		r.Fatal(err)
	}
	p := r.plugin()
	if err := p.Register("Arith", nil, "weight=3"); err != nil {
		r.Fatal(err)
	}
	if p.Registered() || p.Unregister("Other") != nil {
		r.Error("registered without ZooKeeper")
	}
	if err := r.ensemble.Restart(0); err != nil {
		r.Fatal(err)
	}
	r.recovers(p, "ZooKeeper is there", "weight=3")
	if err := r.ensemble.Wipe(); err != nil {
		r.Fatal(err)
	}
	fresh, events, err := zk.Connect(r.ensemble.Servers(), 30*time.Second, zk.WithLogInfo(false), zk.WithLogger(quiet{}), zk.WithDialer(impatient.Dial)) // conn has seen too much
	if err != nil {
		r.Fatal(err)
	}
	r.conn = fresh
	r.recovers(p, "ZooKeeper was wiped", "weight=3")
	fresh.Close()
	for range events { // see TestOnRealZooKeeper
	}
}
