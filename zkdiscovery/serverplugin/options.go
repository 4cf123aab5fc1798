package serverplugin

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/rcrowley/go-metrics"
	"github.com/rpcxio/libkv/store"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/internal/logs"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// ZooKeeperOpt sets one thing of a plugin, for NewZooKeeperRegisterPlugin.
type ZooKeeperOpt func(o *ZooKeeperRegisterPlugin)

// ACL is one entry of a node's access control list: permissions, scheme and id. It is go-zookeeper's, whose functions make lists of it.
type ACL = session.ACL

// options are those that have no exported field.
type options struct {
	server         *server.Server
	acl            []ACL
	auth           []session.Auth
	authFuncs      []session.AuthFunc
	tls            *tls.Config
	dial           func(ctx context.Context, network, addr string) (net.Conn, error)
	log            *slog.Logger
	sessionTimeout time.Duration
	drainWait      *time.Duration
	operator       []string // nil: the default
	ready          func(context.Context) error
	always         bool
	started        bool
	mistakes       []error
}

func (o *options) mistake(format string, args ...any) {
	o.mistakes = append(o.mistakes, fmt.Errorf(format, args...))
}

// WithZKServersAddress sets ZooKeeperServers.
func WithZKServersAddress(zkServers []string) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) { o.ZooKeeperServers = zkServers }
}

// WithZKServiceAddress sets ServiceAddress.
func WithZKServiceAddress(serviceAddress string) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) { o.ServiceAddress = serviceAddress }
}

// WithZKBasePath sets BasePath.
func WithZKBasePath(basePath string) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) { o.BasePath = basePath }
}

// WithZKMetrics sets Metrics.
func WithZKMetrics(me metrics.Registry) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) { o.Metrics = me }
}

// WithZkUpdateInterval sets UpdateInterval.
func WithZkUpdateInterval(updateInterval time.Duration) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) { o.UpdateInterval = updateInterval }
}

// WithZkOptions sets Options.
func WithZkOptions(opts *store.Config) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) { o.Options = opts }
}

// WithServer has the plugin wait until s listens before it registers anything: rpcx registers services before that, and clients would be sent
// to a port that refuses them. For http, ws and wss, where rpcx does not tell (server.Started is never closed), the plugin tries to connect to
// ServiceAddress instead, and registers after 3 s even if that fails. Without this option services are registered at once, as rpcx-zookeeper
// does.
func WithServer(s *server.Server) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		if o.more.server = s; s == nil {
			o.more.mistake("WithServer(nil): a server is needed")
		}
	}
}

// WithReady has the plugin wait until the program is ready, because its caches are warm for instance, before it registers anything: f returns nil
// then. It is asked every second, with a context of 5 s, never twice at once; an error, a panic or silence is a no. After the first yes it is not
// asked again. f must honour its context: a call that does not is left behind by Stop. f must not be a readiness handler that asks Ready: it would
// wait for itself.
func WithReady(f func(context.Context) error) ZooKeeperOpt { return withReady("WithReady", f, false) }

// WithReadyAlways is WithReady that asks f every 5 s after the first yes, too. While it says no, the metadata of every service say state=inactive,
// and the services stay registered. Metadata that are not a URL query cannot say it. Of WithReady and WithReadyAlways, the last counts.
func WithReadyAlways(f func(context.Context) error) ZooKeeperOpt {
	return withReady("WithReadyAlways", f, true)
}

func withReady(name string, f func(context.Context) error, always bool) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		if o.more.ready, o.more.always = f, always; f == nil {
			o.more.mistake("%s(nil): a function is needed", name)
		}
	}
}

// WithStarted adds started=<unix seconds> to the metadata: when this process could first be called, for the slow start of a selector. It stays the
// same through expiries. Without this option a node says byte for byte what was registered, but for an operator's words and metrics.
func WithStarted() ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) { o.more.started = true }
}

// WithZkACL sets the access control list of every node that the plugin creates, parents included. The default lets anybody do anything; with
// credentials of scheme "digest" (WithAuth, or Options' Username), it lets their owner alone: clients need the same ones then.
func WithZkACL(acl []ACL) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		if o.more.acl = slices.Clone(acl); len(acl) == 0 {
			o.more.mistake("WithZkACL: an empty list would keep everybody out")
		}
	}
}

// WithAuth adds credentials, "digest" and "user:password" for instance, which every connection sends before anything else. It may be given
// more than once. They never reach a log.
func WithAuth(scheme string, credentials []byte) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		o.more.auth = append(o.more.auth, session.Auth{Scheme: scheme, Credentials: slices.Clone(credentials)})
		if scheme == "" {
			o.more.mistake("WithAuth(%q, …): a scheme is needed", scheme)
		}
	}
}

// WithAuthFunc asks f for credentials at every connection, for those that rotate. It may be given more than once, and beside WithAuth, whose credentials
// come first. It needs WithZkACL: the list must name users that do not rotate, or the next credentials could not change the nodes. An error of
// f's fails the attempt to connect: Status has it, and f is asked again at the next attempt. f is called outside every lock, once at a time, and
// should return soon: one that does not is waited for as long as an attempt may take, and not asked again before it returns. The credentials are
// copied, and never reach a log. A connection keeps those that it began with.
func WithAuthFunc(f func() (scheme string, credentials []byte, err error)) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		if o.more.authFuncs = append(o.more.authFuncs, f); f == nil {
			o.more.mistake("WithAuthFunc(nil): a function is needed")
		}
	}
}

// WithTLS encrypts the connection to ZooKeeper. Clients' connections to this server are rpcx's: server.WithTLSConfig is for those. Without a ServerName
// in tc, ZooKeeper's certificate must be for the name in the server entry that is being connected.
func WithTLS(tc *tls.Config) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		if tc == nil {
			o.more.mistake("WithTLS(nil): a configuration is needed")
			return
		}
		o.more.tls = tc.Clone()
	}
}

// WithDialer makes the connections. It gets each server entry as it was given; resolving names is its business then. It should honour ctx: a
// call that does not is left behind.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		if o.more.dial = dial; dial == nil {
			o.more.mistake("WithDialer(nil): a function is needed")
		}
	}
}

// WithLogger gets what happens: changes at Info and Warn, repetitions at Debug. The default is slog.Default(), looked up at each line, for what is
// at Warn or above. slog.New(slog.DiscardHandler) is silence. Credentials and metadata never reach it. A message that is repeated is told a few
// times, and then counted with the attribute withheld; all that logs to one handler is counted together.
// The plugin waits for the handler. That may ask Status and the like, but must not call Stop or Shutdown, nor WaitRegistered with a ctx that never ends,
// and Unregister and Drain are not confirmed there.
func WithLogger(l *slog.Logger) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		if l == nil {
			o.more.mistake("WithLogger(nil): a logger is needed")
			return
		}
		o.more.log = logs.Limited(l)
	}
}

// WithSessionTimeout asks for a ZooKeeper session timeout of d; the default is 10 s, or Options' ConnectionTimeout. It is how long the nodes of
// a process that was killed stay; the server may negotiate another (2 to 20 of its ticks unless configured otherwise). 100 ms to 24 h.
func WithSessionTimeout(d time.Duration) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		if o.more.sessionTimeout = d; d < minSession || d > maxSession {
			o.more.mistake("WithSessionTimeout(%v): 100ms to 24h is needed", d)
		}
	}
}

// WithDrainWait is how long Drain waits each time for clients to notice; the default is 2 s. 0 does not wait.
func WithDrainWait(d time.Duration) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		if o.more.drainWait = &d; d < 0 {
			o.more.mistake("WithDrainWait(%v): must not be negative", d)
		}
	}
}

// WithOperator names the keys of the metadata that an operator may set by writing into a server's node. The default is state and weight; group, tag and
// zone are candidates. Without a key, every such write is undone.
//
// An operator writes state=inactive into a node, with ZooKeeper's shell or rpcx-ui, and clients stop choosing that server. A weight works in the same
// way. What an operator has set so is a word. A key is a word when its value differs from what stood there before, and from what is
// registered. Words lie over the registered metadata as long as the process lives: over later registrations, over expiries, and over wipes of ZooKeeper.
// A process that is started again begins without words.
//
// A word ends when the operator removes the key or writes the registered value; for state, when he writes anything but inactive; or by ClearOperator. To
// delete the node is no word: the process makes it again, with all words. Everything else that somebody writes is undone. The process answers a word
// with one write of the same data. So the node's version tells the operator that the process has seen it. The log and Status have each word with its
// value.
//
// Metadata that are no URL query have no keys. While the program itself says state=inactive (Drain, WithReadyAlways), an operator who writes the same
// changes nothing: that is no word.
func WithOperator(keys ...string) ZooKeeperOpt {
	return func(o *ZooKeeperRegisterPlugin) {
		o.more.operator = slices.Compact(slices.Sorted(slices.Values(keys)))
		if o.more.operator == nil {
			o.more.operator = []string{}
		}
		for _, k := range keys {
			switch k {
			case "", callsKey, connectionsKey, startedKey:
				o.more.mistake("WithOperator: key %q is the plugin's own", k)
			}
		}
	}
}
