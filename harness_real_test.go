package holdfast_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// The real ZooKeepers that tests share, because one takes seconds to start.
var (
	single = &sharedEnsemble{size: 1}
	triple = &sharedEnsemble{size: 3}
)

// sharedEnsemble is started by the first test that wants it, and ended with the last.
type sharedEnsemble struct {
	size int

	mu       sync.Mutex
	ensemble *zktest.Ensemble
	ends     []func()
	failed   bool
}

// get returns the ensemble with all its servers running; without ZooKeeper it skips the test, or fails it where one is required.
func (s *sharedEnsemble) get(t *testing.T) *zktest.Ensemble {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ensemble == nil {
		s.ensemble = zktest.StartEnsemble(outliving{t, s}, s.size)
	}
	must(t, s.ensemble.StartAll())
	return s.ensemble
}

func (s *sharedEnsemble) close() (code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, end := range slices.Backward(s.ends) {
		end()
	}
	if s.failed {
		return 1
	}
	return 0
}

// outliving is a test for something that lives until the last test is over.
type outliving struct {
	testing.TB
	s *sharedEnsemble
}

func (o outliving) Cleanup(f func()) { o.s.ends = append(o.s.ends, f) }

func (o outliving) ArtifactDir() string {
	dir, err := os.MkdirTemp("", "holdfast-test-")
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Error is called by what ends after the test is over.
func (o outliving) Error(args ...any) {
	o.s.failed = true
	fmt.Fprintln(os.Stderr, args...)
}

// realZooKeeper is an ensemble, behind a proxy per server. Changes are made past the proxies.
type realZooKeeper struct {
	t        *testing.T
	ensemble *zktest.Ensemble
	proxies  []*zktest.Proxy
	control  *zk.Conn
}

func newReal(t *testing.T, e *zktest.Ensemble) *realZooKeeper {
	t.Helper()
	z := &realZooKeeper{t: t, ensemble: e}
	for _, addr := range e.Servers() {
		p, err := zktest.NewProxy(addr)
		must(t, err)
		t.Cleanup(p.Close)
		z.proxies = append(z.proxies, p)
	}
	z.control = connect(t, e.Servers(), nil)
	t.Cleanup(func() { z.control.Close() })
	return z
}

// reconnect makes a new control connection: one that has seen the ensemble before a wipe is refused for ever.
func (z *realZooKeeper) reconnect() {
	z.control.Close()
	z.control = connect(z.t, z.ensemble.Servers(), nil)
}

func (z *realZooKeeper) servers() (addrs []string) {
	for _, p := range z.proxies {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

func (z *realZooKeeper) options() []zkdiscovery.Option {
	return []zkdiscovery.Option{zkdiscovery.WithSessionTimeout(realSession)}
}

// realSession is short, because some tests wait for expiries, and long enough for a busy machine.
const realSession = 2 * time.Second

// retry does what may be done twice until ZooKeeper has answered: the server that it was asked of may have died.
func (z *realZooKeeper) retry(f func() error) error {
	for end := time.Now().Add(z.patience()); ; z.wait() {
		err := f()
		if !errors.Is(err, zk.ErrConnectionClosed) && !errors.Is(err, zk.ErrNoServer) || time.Now().After(end) {
			return err
		}
	}
}

func (z *realZooKeeper) put(p, data string) {
	z.t.Helper()
	create := func(p, data string) (existed bool) {
		err := z.retry(func() error {
			_, err := z.control.Create(p, []byte(data), 0, zk.WorldACL(zk.PermAll))
			return err
		})
		if errors.Is(err, zk.ErrNodeExists) {
			return true
		}
		must(z.t, err)
		return false
	}
	for i := 1; i < len(p); i++ {
		if p[i] == '/' {
			create(p[:i], "")
		}
	}
	if create(p, data) {
		z.set(p, data)
	}
}

func (z *realZooKeeper) set(p, data string) {
	z.t.Helper()
	must(z.t, z.retry(func() error {
		_, err := z.control.Set(p, []byte(data), -1)
		return err
	}))
}

func (z *realZooKeeper) remove(paths ...string) {
	z.t.Helper()
	transact(z.t, z.control, deletions(paths))
}

func (z *realZooKeeper) create(paths ...string) {
	z.t.Helper()
	transact(z.t, z.control, creations(paths))
}

func (z *realZooKeeper) takeover(p, data string) {
	z.t.Helper()
	takeover(z.t, z.control, p, data)
}

func (z *realZooKeeper) children(p string) map[string]string {
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
	must(z.t, err)
	return m
}

func (z *realZooKeeper) removeAll(p string) {
	names, _, err := z.control.Children(p)
	if err != nil {
		return
	}
	for _, name := range names {
		z.removeAll(path.Join(p, name))
	}
	_ = z.control.Delete(p, -1) // an ephemeral may have gone by itself
}

func (z *realZooKeeper) stop() {
	for _, p := range z.proxies {
		must(z.t, p.Refuse(true))
		p.Drop()
	}
}

func (z *realZooKeeper) start() {
	for _, p := range z.proxies {
		must(z.t, p.Refuse(false))
	}
}

func (z *realZooKeeper) die()  { must(z.t, z.ensemble.StopAll()) }
func (z *realZooKeeper) rise() { must(z.t, z.ensemble.StartAll()) }

func (z *realZooKeeper) wipe() {
	must(z.t, z.ensemble.Wipe())
	z.reconnect()
}

func (z *realZooKeeper) cut(on bool) {
	for _, p := range z.proxies {
		p.Cut(on)
	}
}

// expire cuts the network until ZooKeeper has no session left but the control's.
func (z *realZooKeeper) expire() {
	z.t.Helper()
	z.cut(true)
	z.untilExpired()
	z.cut(false)
}

// untilExpired waits until no session is left but the control's.
func (z *realZooKeeper) untilExpired() {
	z.t.Helper()
	own := fmt.Sprintf("0x%x", z.control.SessionID())
	for end := time.Now().Add(z.patience()); ; z.wait() {
		others := false
		dump, err := z.ensemble.Command(0, "dump")
		must(z.t, err)
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

func (z *realZooKeeper) wait()                   { time.Sleep(2 * time.Millisecond) }
func (z *realZooKeeper) patience() time.Duration { return 20 * time.Second }

// connect opens a plain go-zookeeper connection: what a server or an operator has.
func connect(t *testing.T, servers []string, dial zk.Dialer) *zk.Conn {
	t.Helper()
	if dial == nil {
		dial = func(network, addr string, timeout time.Duration) (net.Conn, error) {
			c, err := net.DialTimeout(network, addr, timeout)
			if err != nil {
				return nil, err
			}
			return impatient{c}, nil
		}
	}
	c, _, err := zk.Connect(servers, 30*time.Second, zk.WithDialer(dial), zk.WithLogInfo(false), zk.WithLogger(silent{}))
	must(t, err)
	return c
}

// impatient is a connection whose handshake fails after a while. go-zookeeper waits ten times as long for its beginning as for anything else, here
// 200 s, and for its end without a limit: a server that is killed or stopped in the middle of it holds up a whole test.
type impatient struct{ net.Conn }

func (c impatient) SetReadDeadline(t time.Time) error {
	if t.IsZero() || time.Until(t) > time.Minute { // nothing else is waited for like that
		t = time.Now().Add(5 * time.Second)
	}
	return c.Conn.SetReadDeadline(t)
}

type silent struct{}

func (silent) Printf(string, ...any) {}

func creations(paths []string) (ops []any) {
	for _, p := range paths {
		ops = append(ops, &zk.CreateRequest{Path: p, Data: []byte("n=1"), Acl: zk.WorldACL(zk.PermAll)})
	}
	return ops
}

func deletions(paths []string) (ops []any) {
	for _, p := range paths {
		ops = append(ops, &zk.DeleteRequest{Path: p, Version: -1})
	}
	return ops
}

func transact(t *testing.T, c *zk.Conn, ops []any) {
	t.Helper()
	_, err := c.Multi(ops...)
	must(t, err)
}

// takeover is what a server does which finds its address taken by its predecessor.
func takeover(t *testing.T, c *zk.Conn, p, data string) {
	t.Helper()
	transact(t, c, []any{
		&zk.DeleteRequest{Path: p, Version: -1},
		&zk.CreateRequest{Path: p, Data: []byte(data), Acl: zk.WorldACL(zk.PermAll)},
	})
}
