package serverplugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rcrowley/go-metrics"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/internal/logs"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

const (
	drainWait  = 2 * time.Second
	minSession = 100 * time.Millisecond
	maxSession = 24 * time.Hour
)

// config is everything that is decided before anything starts.
type config struct {
	base      string // "" or an absolute path without a final slash
	address   string // network@address
	instance  string // the node's name for it
	acl       []ACL
	session   session.Config
	server    *server.Server              // nil: not to be waited for
	ready     func(context.Context) error // nil: not to be asked
	always    bool                        // after the first yes, too
	started   bool                        // publish when
	metrics   metrics.Registry
	meters    *meters
	update    time.Duration // of the metrics, none unless it is positive
	drainWait time.Duration
	operator  []string // keys that are his to set
	log       *slog.Logger
}

// newConfig joins every mistake in a plugin's fields and options; nothing has started when it fails.
func newConfig(p *ZooKeeperRegisterPlugin) (config, error) {
	o := &p.more
	mistakes := o.mistakes
	c := config{
		address: p.ServiceAddress, instance: znode.InstanceName(p.ServiceAddress), acl: o.acl, server: o.server,
		ready: o.ready, always: o.always, started: o.started,
		metrics: p.Metrics, meters: &p.meters, drainWait: drainWait, operator: []string{stateKey, "weight"}, log: o.log,
		session: session.Config{
			SessionTimeout: o.sessionTimeout, Auth: o.auth, AuthFuncs: o.authFuncs, TLS: o.tls, Dial: o.dial,
			Extension: session.Extension{Batches: true}.Allowed(),
		},
	}
	if p.Metrics != nil {
		c.update = p.UpdateInterval
	}
	if o.drainWait != nil {
		c.drainWait = *o.drainWait
	}
	if o.operator != nil {
		c.operator = o.operator
	}
	if c.log == nil {
		c.log = logs.Default()
	}
	c.session.Logger = c.log
	c.takePeerOptions(p)
	if c.acl == nil && len(o.authFuncs) > 0 {
		mistakes = append(slices.Clip(mistakes), errors.New("WithAuthFunc: WithZkACL is needed beside it, so that the next credentials may change the nodes too"))
	}
	if c.acl == nil {
		c.acl = defaultACL(c.session.Auth)
	}
	var err error
	if c.base, err = znode.BasePath(p.BasePath); err != nil {
		mistakes = append(mistakes, err)
	}
	if c.session.Servers, c.session.Chroot, err = session.ParseServers(p.ZooKeeperServers); err != nil {
		mistakes = append(mistakes, err)
	}
	if why := addressMistake(p.ServiceAddress); why != "" {
		mistakes = append(mistakes, fmt.Errorf("service address %q: %s", p.ServiceAddress, why))
	}
	if err := errors.Join(mistakes...); err != nil {
		return config{}, fmt.Errorf("serverplugin: %w", err)
	}
	return c, nil
}

// takePeerOptions takes from rpcx-zookeeper's options what the plugin's own have not said.
func (c *config) takePeerOptions(p *ZooKeeperRegisterPlugin) {
	o := p.Options
	if o == nil {
		return
	}
	if c.session.SessionTimeout == 0 && o.ConnectionTimeout > 0 {
		c.session.SessionTimeout = min(max(o.ConnectionTimeout, minSession), maxSession)
	}
	if c.session.TLS == nil && o.TLS != nil {
		c.session.TLS = o.TLS.Clone()
	}
	if o.Username != "" {
		c.session.Auth = append(slices.Clip(c.session.Auth),
			session.Auth{Scheme: "digest", Credentials: []byte(o.Username + ":" + o.Password)})
	}
}

func defaultACL(auth []session.Auth) []ACL {
	for _, a := range auth {
		if a.Scheme == "digest" {
			return []ACL{{Perms: session.PermAll, Scheme: "auth", ID: ""}} // the creator, under all its credentials
		}
	}
	return []ACL{{Perms: session.PermAll, Scheme: "world", ID: "anyone"}}
}

// addressMistake says what is wrong with a service address, as the end of a sentence; "" when nothing is.
func addressMistake(address string) string {
	if address == "" {
		return "is empty: network@address is needed, tcp@10.0.0.1:8972 for instance"
	}
	name := znode.InstanceName(address)
	if _, ok := znode.InstanceKey(name); !ok {
		return "is not network@address, without spaces, as in tcp@10.0.0.1:8972"
	}
	if why := session.PathMistake("/" + name); why != "" {
		return why
	}
	network, addr, _ := strings.Cut(address, "@")
	switch network {
	case "tcp", "tcp4", "tcp6", "http", "ws", "wss", "kcp", "quic", "iouring", "rdma":
	default:
		if strings.Contains(network, "/") {
			return "has a slash in its network"
		}
		return "" // a path, a name in memory, or what only the user's own dialler knows
	}
	if strings.Count(addr, ":") > 1 && addr[0] != '[' {
		return "has a bare IPv6 address: brackets are needed, tcp@[::1]:8972"
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return "has no port: network@host:port is needed"
	}
	if n, err := strconv.Atoi(port); !errors.Is(err, strconv.ErrSyntax) && (err != nil || n < 1 || n > 65535) { // syntax: it may be a name
		return fmt.Sprintf("has port %s: 1 to 65535 is needed", port)
	}
	return ""
}

// anyHost reports whether a service address is where a server listens, 0.0.0.0 for instance, and not where a client finds it.
func anyHost(address string) bool {
	_, addr, _ := strings.Cut(address, "@")
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "" || ip != nil && ip.IsUnspecified())
}
