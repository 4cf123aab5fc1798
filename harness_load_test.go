package holdfast_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Real rpcx servers, a client under load, and an outage of a ZooKeeper of their own.

// Arith is what the servers serve.
type Arith struct{}

// Double doubles.
func (Arith) Double(_ context.Context, n *int, twice *int) error { *twice = 2 * *n; return nil }

// rpcxServer is one server and its session.
type rpcxServer struct {
	t       *testing.T
	key     string
	server  *server.Server
	ln      net.Listener
	serving sync.WaitGroup
	once    sync.Once
	session *zk.Conn // nil while it has none
}

// startServer starts an rpcx server on loopback, with TLS where tc is not nil. It is killed with the test.
func startServer(t *testing.T, tc *tls.Config) *rpcxServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &rpcxServer{t: t, key: "tcp@" + ln.Addr().String(), server: server.NewServer(), ln: ln}
	must(t, s.server.RegisterName("Arith", Arith{}, ""))
	if tc != nil {
		s.ln = tls.NewListener(ln, tc)
	}
	s.serving.Go(func() { _ = s.server.ServeListener("tcp", s.ln) }) // it ends with an error when it is closed
	t.Cleanup(s.kill)
	return s
}

// register makes the server's node, in a new session.
func (s *rpcxServer) register(zooKeepers []string, service string) {
	s.t.Helper()
	s.session = connect(s.t, zooKeepers, nil)
	for i := 1; i < len(service); i++ {
		if service[i] == '/' {
			_, _ = s.session.Create(service[:i], nil, 0, zk.WorldACL(zk.PermAll)) // another has made it
		}
	}
	_, _ = s.session.Create(service, nil, 0, zk.WorldACL(zk.PermAll))
	if _, err := s.session.Create(service+"/"+s.key, nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		s.t.Errorf("register %s: %v", s.key, err) // not fatal: several register at once, on goroutines of their own
	}
}

// endSession ends it, and with it the node; where ZooKeeper is away, it dies later.
func (s *rpcxServer) endSession() {
	if s.session != nil {
		s.session.Close()
		s.session = nil
	}
}

// kill ends the server, and refuses who knocks afterwards.
func (s *rpcxServer) kill() {
	s.once.Do(func() {
		_ = s.server.Close()
		_ = s.ln.Close()
		s.serving.Wait()
	})
	s.endSession()
}

// load is an XClient that is never left alone.
type load struct {
	what            string
	calls, failures atomic.Int64
	first           atomic.Value // the first failure
	xc              client.XClient
	stopped         chan struct{} // closed by stop
	callers         sync.WaitGroup
}

func underLoad(t *testing.T, what string, d client.ServiceDiscovery, mode client.FailMode) *load {
	t.Helper()
	opt := client.DefaultOption
	opt.Heartbeat = false
	l := &load{what: what, xc: client.NewXClient("Arith", mode, client.RoundRobin, d, opt), stopped: make(chan struct{})}
	for range 4 {
		l.callers.Go(func() {
			pause := time.NewTicker(5 * time.Millisecond)
			defer pause.Stop()
			for n := 0; ; n++ {
				select {
				case <-l.stopped:
					return
				case <-pause.C:
				}
				var twice int
				l.calls.Add(1)
				if err := l.xc.Call(t.Context(), "Double", &n, &twice); err != nil || twice != 2*n {
					if l.failures.Add(1) == 1 {
						l.first.Store(fmt.Sprint(err))
					}
				}
			}
		})
	}
	return l
}

// stop ends the load, and tells how many of how many calls have failed.
func (l *load) stop() (calls, failures int64) {
	close(l.stopped)
	l.callers.Wait()
	_ = l.xc.Close() // tells of connections that were dead already
	return l.calls.Load(), l.failures.Load()
}

// drill is an outage of a ZooKeeper of its own, with twenty servers and two clients under load.
type drill struct {
	*world
	ensemble *zktest.Ensemble
	servers  []*rpcxServer
	d        *zkdiscovery.Discovery
	watcher  *replica
	load     *load                  // on d …
	obeying  *zkdiscovery.Discovery // one without the guard …
	bare     *load                  // … and on that
}

const drilled = "/rpcx/Arith"

// outage plays it: ZooKeeper is killed for longer than the sessions, kill is called, and ZooKeeper comes back empty.
func outage(t *testing.T, mode client.FailMode, kill func(*drill)) *drill {
	t.Helper()
	o := &drill{world: &world{T: t, log: newLogbook(t), dir: t.TempDir()}, ensemble: zktest.StartEnsemble(t, 1)}
	for range 20 {
		s := startServer(t, nil)
		s.register(o.ensemble.Servers(), drilled)
		o.servers = append(o.servers, s)
	}
	discover := func(guard zkdiscovery.Option) *zkdiscovery.Discovery {
		d, err := zkdiscovery.New("/rpcx", "Arith", o.ensemble.Servers(), zkdiscovery.WithCacheDir(t.TempDir()),
			zkdiscovery.WithLogger(o.log.logger()), zkdiscovery.WithSessionTimeout(realSession), guard)
		must(t, err)
		t.Cleanup(d.Close)
		if n := len(d.GetServices()); n != 20 {
			t.Fatalf("%d servers are listed, of 20", n)
		}
		return d
	}
	d, bare := discover(zkdiscovery.WithGuard(zkdiscovery.Guard{})), discover(zkdiscovery.WithoutGuard())
	o.d, o.watcher, o.obeying = d, follow(t, d), bare
	o.load, o.bare = underLoad(t, "with the guard", d, mode), underLoad(t, "without the guard", bare, mode)

	must(t, o.ensemble.Kill(0))
	for _, s := range o.servers {
		s.endSession()
	}
	o.until("the connection is lost", 30*time.Second, func() bool { return d.Snapshot().Source == zkdiscovery.Stale })
	time.Sleep(realSession + time.Second) // the outage itself
	kill(o)
	must(t, o.ensemble.Wipe())
	o.until("ZooKeeper answers", 30*time.Second, func() bool { return d.Snapshot().Source == zkdiscovery.Live })
	return o
}

// until waits until ok, and returns how long.
func (o *drill) until(what string, limit time.Duration, ok func() bool) time.Duration {
	o.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			o.Fatalf("not within %v: %s: %v", limit, what, o.d.Status())
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}

// comeBack registers servers again when both clients have asked ZooKeeper, each when it pleases within that time, and returns how long it took
// until nobody was held any more.
func (o *drill) comeBack(servers []*rpcxServer, within time.Duration) time.Duration {
	o.Helper()
	o.until("the other client has asked, too", 30*time.Second, func() bool { return o.obeying.Snapshot().Source == zkdiscovery.Live })
	began := time.Now()
	var all sync.WaitGroup
	for _, s := range servers {
		after := rand.N(within)
		all.Go(func() {
			time.Sleep(after)
			s.register(o.ensemble.Servers(), drilled)
		})
	}
	all.Wait()
	o.until("the list is ZooKeeper's", 20*time.Second, func() bool {
		return len(o.d.Snapshot().Held) == 0 && len(o.d.GetServices()) == len(servers)
	})
	return time.Since(began)
}

func keys(servers []*rpcxServer) map[string]string {
	m := make(map[string]string)
	for _, s := range servers {
		m[s.key] = ""
	}
	return m
}
