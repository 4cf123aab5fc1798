package harness

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// RealSession is the session timeout on the network. It is short, because some tests wait for expiries, and long enough for a busy machine.
const RealSession = 2 * time.Second

// RealZooKeeper is an ensemble, behind a proxy per server. Changes are made past the proxies.
type RealZooKeeper struct {
	Ensemble *zktest.Ensemble
	Proxies  []*zktest.Proxy // one per server, in the order of Ensemble.Servers

	t       *testing.T
	control *zk.Conn
}

func newReal(t *testing.T, e *zktest.Ensemble) *RealZooKeeper {
	t.Helper()
	z := &RealZooKeeper{t: t, Ensemble: e}
	for _, addr := range e.Servers() {
		p, err := zktest.NewProxy(addr)
		Must(t, err)
		t.Cleanup(p.Close)
		z.Proxies = append(z.Proxies, p)
	}
	z.control = connect(t, e.Servers(), nil)
	t.Cleanup(func() { z.control.Close() })
	return z
}

// ControlThrough makes changes through these servers from now on, over a new connection. One that has seen the ensemble before a wipe is refused
// for ever.
func (z *RealZooKeeper) ControlThrough(servers ...string) {
	z.control.Close()
	z.control = connect(z.t, servers, nil)
}

// Servers are the proxies.
func (z *RealZooKeeper) Servers() (addrs []string) {
	for _, p := range z.Proxies {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

// Options are a short session.
func (z *RealZooKeeper) Options() []zkdiscovery.Option {
	return []zkdiscovery.Option{zkdiscovery.WithSessionTimeout(RealSession)}
}

// retry does what may be done twice until ZooKeeper has answered: the server that it was asked of may have died.
func (z *RealZooKeeper) retry(f func() error) error {
	return z.again(f, zk.ErrConnectionClosed, zk.ErrNoServer)
}

// transact makes a transaction, which may not be made twice. It is made again only if it was never sent, because no server could be reached.
func (z *RealZooKeeper) transact(ops []any) {
	z.t.Helper()
	Must(z.t, z.again(func() error {
		_, err := z.control.Multi(ops...)
		return err
	}, zk.ErrNoServer))
}

// again calls f while it fails in one of these ways.
func (z *RealZooKeeper) again(f func() error, ways ...error) error {
	for end := time.Now().Add(z.Patience()); ; z.Wait() {
		err := f()
		if !slices.ContainsFunc(ways, func(way error) bool { return errors.Is(err, way) }) || time.Now().After(end) {
			return err
		}
	}
}

// Put creates or overwrites a node, with its parents.
func (z *RealZooKeeper) Put(p, data string) {
	z.t.Helper()
	create := func(p, data string) (existed bool) {
		err := z.retry(func() error {
			_, err := z.control.Create(p, []byte(data), 0, zk.WorldACL(zk.PermAll))
			return err
		})
		if errors.Is(err, zk.ErrNodeExists) {
			return true
		}
		Must(z.t, err)
		return false
	}
	for i := 1; i < len(p); i++ {
		if p[i] == '/' {
			create(p[:i], "")
		}
	}
	if create(p, data) {
		z.Set(p, data)
	}
}

// Set overwrites a node.
func (z *RealZooKeeper) Set(p, data string) {
	z.t.Helper()
	Must(z.t, z.retry(func() error {
		_, err := z.control.Set(p, []byte(data), -1)
		return err
	}))
}

// Remove deletes nodes in one transaction.
func (z *RealZooKeeper) Remove(paths ...string) {
	z.t.Helper()
	z.transact(deletions(paths))
}

// Create makes nodes in one transaction.
func (z *RealZooKeeper) Create(paths ...string) {
	z.t.Helper()
	z.transact(creations(paths))
}

// Takeover replaces a node in one transaction.
func (z *RealZooKeeper) Takeover(p, data string) {
	z.t.Helper()
	z.transact(takeover(p, data))
}

// Children are the nodes below a path.
func (z *RealZooKeeper) Children(p string) map[string]string {
	z.t.Helper()
	m := make(map[string]string)
	err := z.retry(func() error {
		clear(m)
		names, _, err := z.control.Children(p)
		if errors.Is(err, zk.ErrNoNode) {
			return nil
		}
		for _, name := range names {
			var data []byte
			if data, _, err = z.control.Get(p + "/" + name); errors.Is(err, zk.ErrNoNode) {
				err = nil // it has gone meanwhile
				continue
			} else if err != nil {
				return err
			}
			m[name] = string(data)
		}
		return err
	})
	Must(z.t, err)
	return m
}

// As calls f as a client of the ensemble.
func (z *RealZooKeeper) As(f func(*zk.Conn)) {
	z.t.Helper()
	c := connect(z.t, z.Ensemble.Servers(), nil)
	defer c.Close()
	f(c)
}

func (z *RealZooKeeper) removeAll(p string) {
	names, _, err := z.control.Children(p)
	if err != nil {
		return
	}
	for _, name := range names {
		z.removeAll(path.Join(p, name))
	}
	_ = z.control.Delete(p, -1) // an ephemeral may have gone by itself
}

// Stop makes the proxies refuse.
func (z *RealZooKeeper) Stop() {
	for _, p := range z.Proxies {
		Must(z.t, p.Refuse(true))
		p.Drop()
	}
}

// Start ends Stop.
func (z *RealZooKeeper) Start() {
	for _, p := range z.Proxies {
		Must(z.t, p.Refuse(false))
	}
}

// Die kills the servers.
func (z *RealZooKeeper) Die() { Must(z.t, z.Ensemble.StopAll()) }

// Rise starts them again.
func (z *RealZooKeeper) Rise() { Must(z.t, z.Ensemble.StartAll()) }

// Wipe starts them again with nothing in them.
func (z *RealZooKeeper) Wipe() {
	Must(z.t, z.Ensemble.Wipe())
	z.ControlThrough(z.Ensemble.Servers()...)
}

// Cut drops what is sent, in both directions.
func (z *RealZooKeeper) Cut(on bool) {
	for _, p := range z.Proxies {
		p.Cut(on)
	}
}

// Expire cuts the network until ZooKeeper has no session left but the control's.
func (z *RealZooKeeper) Expire() {
	z.t.Helper()
	z.Cut(true)
	z.UntilExpired()
	z.Cut(false)
}

// UntilExpired waits until no session is left but the control's.
func (z *RealZooKeeper) UntilExpired() {
	z.t.Helper()
	own := fmt.Sprintf("0x%x", z.control.SessionID())
	for end := time.Now().Add(z.Patience()); ; z.Wait() {
		others := false
		dump, err := z.Ensemble.Command(0, "dump")
		Must(z.t, err)
		for word := range strings.FieldsSeq(dump) {
			others = others || strings.HasPrefix(word, "0x") && word != own && word != "0x0" // which is the one that asks
		}
		if !others {
			return
		}
		if time.Now().After(end) {
			z.t.Fatalf("sessions do not expire:\n%s", dump)
		}
	}
}

// Wait waits a little.
func (z *RealZooKeeper) Wait() { time.Sleep(2 * time.Millisecond) }

// Patience is how long to wait for what must come.
func (z *RealZooKeeper) Patience() time.Duration { return 20 * time.Second }
