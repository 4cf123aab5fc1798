package serverplugin

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rcrowley/go-metrics"
	"github.com/rpcxio/libkv/store"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

var (
	_ server.RegisterPlugin         = (*ZooKeeperRegisterPlugin)(nil)
	_ server.RegisterFunctionPlugin = (*ZooKeeperRegisterPlugin)(nil)
	_ server.PostConnAcceptPlugin   = (*ZooKeeperRegisterPlugin)(nil)
	_ server.PreCallPlugin          = (*ZooKeeperRegisterPlugin)(nil)
)

// maxMetadata is how long metadata may be, in bytes: ZooKeeper drops the connection of a client that sends more than 1 MiB, path and all.
const maxMetadata = 1_000_000

// ZooKeeperRegisterPlugin registers the services of one rpcx server. It is made by NewZooKeeperRegisterPlugin, or as a literal with the fields
// set; these are read when it begins, at the first Start or Register, and must not be changed afterwards. All methods may be called at once
// from anywhere.
//
// A service's node is /<base>/<service>/<network>@<address>. Its data are the metadata. An address with a slash is escaped: unix@/run/a.sock is
// unix@%2Frun%2Fa.sock there. Clients of zkdiscovery find the server under its real address. Those of rpcx-zookeeper see the escaped one and cannot dial
// it. (The nodes that rpcx-zookeeper's own plugin makes of such an address cannot be dialled either.)
//
// The package's promises have these bounds:
//
//   - R1. The right metadata are those registered, with what an operator has written over them (WithOperator). They are there again after an expiry, after
//     somebody has deleted or overwritten the node, and after a start without ZooKeeper. The node is never persistent, and never seen without its metadata.
//   - R2. An earlier owner is an earlier session, a killed predecessor, or nobody (a persistent node). The replacement is atomic. Each Register claims once,
//     so that two live processes do not take the address from each other in turns.
//   - R4. Clients that do not watch metadata notice only the second half of Drain, when the node goes. Clients with rpcx's Option.Sticky notice nothing.
//
// At rest it costs ZooKeeper its pings, one watch per service, and one request per service in 15 to 18 minutes. A reconnect costs one request per service.
// A node that may not be read has no watch, and is looked at every minute. All services share one connection.
type ZooKeeperRegisterPlugin struct {
	// ServiceAddress is where clients reach the server, as network@address: tcp@127.0.0.1:8972, quic@[2001:db8::1]:8972, unix@/run/a.sock.
	ServiceAddress string
	// ZooKeeperServers are host:port, IPv6 in brackets; the last may carry a chroot, host:2181/prod.
	ZooKeeperServers []string
	// BasePath is what all services stand below, com/example/rpcx for instance. It may begin and end with a slash.
	BasePath string
	// Metrics is the registry in which the plugin counts "calls" and "connections". With an UpdateInterval they are published.
	Metrics metrics.Registry
	// Services are the names that are registered. The plugin writes it, and does not read it; look at it where no Register or Unregister is
	// under way, or ask Status.
	Services []string
	// UpdateInterval is how often the metrics are published; 0: never. It has nothing to do with how long a node lives, which is as long as
	// the session.
	UpdateInterval time.Duration
	// Options of rpcx-zookeeper: TLS and ConnectionTimeout, which is the session timeout there, count, and Username and Password as digest
	// credentials.
	Options *store.Config

	more   options
	meters meters

	mu        sync.Mutex // guards what follows; may be held while the mailbox's is taken, never the other way round
	stopped   bool
	registrar *registrar // nil before the first Start or Register
}

// NewZooKeeperRegisterPlugin returns a plugin with the given options. Mistakes in them are told by Start and Register.
func NewZooKeeperRegisterPlugin(opts ...ZooKeeperOpt) *ZooKeeperRegisterPlugin {
	p := &ZooKeeperRegisterPlugin{}
	for _, o := range opts {
		if o != nil {
			o(p)
		}
	}
	return p
}

// Start begins to connect to ZooKeeper, and returns at once. It fails for bad fields and options only, joining every mistake, and after Stop
// with ErrStopped; that ZooKeeper is away is told to the logger and by Status. A second Start does nothing.
func (p *ZooKeeperRegisterPlugin) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.begin()
	return err
}

// begin returns the registrar, making it if there is none. The caller holds mu.
func (p *ZooKeeperRegisterPlugin) begin() (*registrar, error) {
	if p.stopped {
		return nil, ErrStopped
	}
	if p.registrar == nil {
		cfg, err := newConfig(p)
		if err != nil {
			return nil, err
		}
		p.registrar = newRegistrar(cfg)
	}
	return p.registrar, nil
}

// Stop ends the plugin. Every node that it registered is gone with its session, at once; if ZooKeeper cannot be told, when the session times
// out. Stop returns when everything that the plugin started is gone, which takes about a second at most; a successor's nodes stay. It may be
// called more than once, from anywhere but the plugin's own log handler, where it would wait for itself: start a goroutine there. Every call waits.
// It never fails; a plugin that was stopped stays so.
func (p *ZooKeeperRegisterPlugin) Stop() error {
	p.mu.Lock()
	p.stopped = true
	r := p.registrar
	p.Services = nil
	p.mu.Unlock()
	if r != nil {
		r.stop()
	}
	return nil
}

// Register registers a service, and returns at once: the node appears when ZooKeeper is there and, with WithServer, the server listens.
// WaitRegistered waits for that. It claims the address from its owner. name may have slashes. To register a name again replaces its
// metadata, and claims the address once more: until ZooKeeper has confirmed that, the service is not Registered.
//
// rpcx calls it from Server.RegisterName and the like. Before Start it starts the plugin. It fails for an impossible name, metadata over
// 1,000,000 bytes, what Start fails for, and after Stop.
func (p *ZooKeeperRegisterPlugin) Register(name string, _ any, metadata string) error {
	return p.register(name, metadata, false)
}

// RegisterFunction is Register for one function of a service. All functions share the service's node, and the metadata that was given last
// counts. One more function with the same metadata, or with none, changes nothing, and claims nothing: a service that is registered stays so,
// and one that has yielded too.
func (p *ZooKeeperRegisterPlugin) RegisterFunction(serviceName, _ string, _ any, metadata string) error {
	return p.register(serviceName, metadata, true)
}

func (p *ZooKeeperRegisterPlugin) register(name, metadata string, function bool) error {
	r, err := p.want(name, metadata, function)
	if err == nil {
		r.warnOfMetadata(name, metadata)
	}
	return err
}

func (p *ZooKeeperRegisterPlugin) want(name, metadata string, function bool) (*registrar, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, err := p.begin()
	if err != nil {
		return nil, err
	}
	path, err := znode.ServicePath(r.cfg.base, name)
	if err != nil {
		return nil, fmt.Errorf("serverplugin: %w", err)
	}
	if err := metadataMistake(name, metadata); err != nil {
		return nil, err
	}
	if r.mail.register(strings.Trim(name, "/"), path, metadata, function) {
		p.Services = append(slices.Clip(p.Services), name)
	}
	return r, nil
}

// Unregister removes a service's node, if it is this process's own, and returns when it is gone (or the service registered again). It waits for
// about a second at most, and many calls in a row wait for about a second together: the error is ErrUnconfirmed then, and the node is removed
// later. It does not wait while ZooKeeper is known to be away. A name that is not registered is no error, nor is a plugin that was stopped. rpcx
// calls it from Server.Shutdown, once per service, with the server's locks held; it calls nothing of the server's.
func (p *ZooKeeperRegisterPlugin) Unregister(name string) error {
	p.mu.Lock()
	r := p.registrar
	p.mu.Unlock()
	if r == nil {
		return nil
	}
	path, err := znode.ServicePath(r.cfg.base, name)
	if err != nil {
		return fmt.Errorf("serverplugin: %w", err)
	}
	if o, ok := p.unwant(r, name, path); ok {
		return r.unregister(o)
	}
	return nil
}

// unwant takes a service back and returns the order that says so; ok is false where there is nothing to wait for.
func (p *ZooKeeperRegisterPlugin) unwant(r *registrar, name, path string) (o order, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	same := func(other string) bool { return strings.Trim(other, "/") == strings.Trim(name, "/") }
	p.Services = slices.DeleteFunc(slices.Clone(p.Services), same)
	return r.mail.unregister(path)
}

// HandleConnAccept counts connections, for rpcx.
func (p *ZooKeeperRegisterPlugin) HandleConnAccept(conn net.Conn) (net.Conn, bool) {
	if m := p.meters.connections.of(p.Metrics, connectionsKey, p.more.log); m != nil {
		m.Mark(1)
	}
	return conn, true
}

// PreCall counts calls, for rpcx.
func (p *ZooKeeperRegisterPlugin) PreCall(_ context.Context, _, _ string, args any) (any, error) {
	if m := p.meters.calls.of(p.Metrics, callsKey, p.more.log); m != nil {
		m.Mark(1)
	}
	return args, nil
}
