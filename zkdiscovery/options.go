package zkdiscovery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/drive"
	"github.com/holdfast-go/holdfast/internal/logs"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// Option changes one of New's defaults.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// config is everything that is decided before anything starts.
type config struct {
	base     string   // "" or an absolute path without a final slash
	addrs    []string // host:port
	chroot   string
	ensemble string // identity in the cache file

	cacheDir       string
	cacheDirSet    bool
	noCache        bool
	pollFiles      bool
	overrideDir    string
	ensembleName   string
	maxCacheAge    time.Duration
	sessionTimeout time.Duration
	startTimeout   time.Duration
	lazy           bool
	filter         client.ServiceDiscoveryFilter
	guard          Guard
	guardSet       bool
	noGuard        bool
	auth           []session.Auth
	authFuncs      []session.AuthFunc
	tls            *tls.Config
	dial           func(ctx context.Context, network, addr string) (net.Conn, error)
	log            *slog.Logger
	observer       Observer
	noMetadata     bool
	noExtension    bool

	mistakes []error // found by options themselves
}

func defaultConfig() config {
	return config{
		sessionTimeout: 10 * time.Second,
		startTimeout:   3 * time.Second,
		log:            logs.Default(),
	}
}

// WithCacheDir names the directory of the cache files. In it each ensemble has a directory, and each service one in that, see filecache.Open, "Places".
// The default is "holdfast" in the user's cache directory (os.UserCacheDir), or, where that cannot be written, a private directory below os.TempDir, if that
// is this user's alone; then a line in the log says so. It is created with mode 0700 when missing. Processes may share it. In a container, give it a volume
// that outlives the container, or a restart during an outage finds no file.
func WithCacheDir(dir string) Option {
	return optionFunc(func(c *config) {
		if c.cacheDir, c.cacheDirSet = dir, true; dir == "" {
			c.mistake("WithCacheDir(%q): a directory is needed; WithoutCache does without", dir)
		}
	})
}

// WithOverrideDir names a directory in which operators' overrides are looked for, too, flat as a mounted ConfigMap is: of service Arith below /rpcx the file
// is rpcx__Arith.json. The name is the service's whole path without the first slash, each other slash written as two underscores. An override in the
// cache directory wins over one here. The default is none. Nothing is written there. Trap: the names say nothing of the ensemble.
func WithOverrideDir(dir string) Option {
	return optionFunc(func(c *config) {
		if c.overrideDir = dir; dir == "" {
			c.mistake("WithOverrideDir(%q): a directory is needed", dir)
		}
	})
}

// WithoutCache keeps no file: without ZooKeeper at start there is no list, and no override is looked for.
func WithoutCache() Option { return optionFunc(func(c *config) { c.noCache = true }) }

// WithCachePolling looks at the cache directory every few seconds instead of asking the operating system for notice, for file systems that
// give none (NFS, FUSE, some container mounts). Without it both are done; it saves the notice, no correctness.
func WithCachePolling() Option { return optionFunc(func(c *config) { c.pollFiles = true }) }

// WithEnsembleName names the ensemble, and so its directory below the cache directory. Two ensembles whose servers have the same names stay apart by it,
// and the lists are found whatever becomes of the servers. Without it, the ensemble is known by its chroot and servers. Then the lists are found after a
// change of servers while the chroot and one server of the first start are the same. Trap: lists that were saved under another name, or under none, are not
// found. Start with a new name while ZooKeeper is there.
func WithEnsembleName(name string) Option {
	return optionFunc(func(c *config) {
		if c.ensembleName = name; name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 }) {
			c.mistake("WithEnsembleName(%q): a name of printable characters is needed", name)
		}
	})
}

// WithMaxCacheAge refuses a file whose list was confirmed by ZooKeeper longer ago than d. The default, 0, takes any: an old list is better
// than none. A list that was confirmed in the future, by a machine whose clock is ahead or before ours was set back, is of unknown age: it is refused
// while it is further ahead than d. When ZooKeeper is there such a file is set right.
func WithMaxCacheAge(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if c.maxCacheAge = d; d < 0 {
			c.mistake("WithMaxCacheAge(%v): must not be negative", d)
		}
	})
}

// WithSessionTimeout asks for a ZooKeeper session timeout of d; the default is 10 s. The server may negotiate another (2 to 20 of its ticks
// unless configured otherwise); Status tells which. A connection is taken for lost after two thirds of it without an answer. At least 100 ms.
func WithSessionTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if c.sessionTimeout = d; d < 100*time.Millisecond || d > 24*time.Hour {
			c.mistake("WithSessionTimeout(%v): 100ms to 24h is needed", d)
		}
	})
}

// WithStartTimeout is how long New waits for ZooKeeper before it turns to the file; the default is 3 s. When every server refuses, and there
// is a file, New does not wait for it.
func WithStartTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if c.startTimeout = d; d <= 0 {
			c.mistake("WithStartTimeout(%v): must be positive", d)
		}
	})
}

// WithLazyStart makes New succeed with an empty list (Source None) where it would fail with ErrNoSnapshot.
func WithLazyStart() Option { return optionFunc(func(c *config) { c.lazy = true }) }

// WithFilter sets the filter that the Discovery begins with, as SetFilter does later. Clones inherit it: it is called for one list of a Discovery at a
// time, but for several clones at once.
func WithFilter(f client.ServiceDiscoveryFilter) Option {
	return optionFunc(func(c *config) { c.filter = f })
}

// WithGuard configures the guard against mass losses.
func WithGuard(g Guard) Option {
	return optionFunc(func(c *config) { c.guard, c.guardSet = g, true })
}

// WithoutGuard obeys ZooKeeper at once: an empty list empties the list of every client.
func WithoutGuard() Option { return optionFunc(func(c *config) { c.noGuard = true }) }

// WithAuth adds credentials, "digest" and "user:password" for instance, which every connection sends before anything else. It may be given
// more than once. Credentials are never logged.
func WithAuth(scheme string, credentials []byte) Option {
	return optionFunc(func(c *config) {
		c.auth = append(c.auth, session.Auth{Scheme: scheme, Credentials: slices.Clone(credentials)})
		if scheme == "" {
			c.mistake("WithAuth(%q, …): a scheme is needed", scheme)
		}
	})
}

// WithAuthFunc asks f for credentials at every connection, for credentials that rotate. It may be given more than once. With WithAuth too, those of
// WithAuth come first. If f returns an error, the attempt to connect fails: Status has the error, and f is asked again at the next attempt. f is called
// outside every lock, once at a time. It must return within the time of an attempt, which grows up to the session timeout. Otherwise the attempt
// fails, and f is not asked again before it returns. The credentials are copied and never logged.
//
// Trap: a connection keeps the credentials that it began with. What replaces them in ZooKeeper must let both in until every client has connected anew.
func WithAuthFunc(f func() (scheme string, credentials []byte, err error)) Option {
	return optionFunc(func(c *config) {
		if c.authFuncs = append(c.authFuncs, f); f == nil {
			c.mistake("WithAuthFunc(nil): a function is needed")
		}
	})
}

// WithTLS encrypts the connection to ZooKeeper. It has nothing to do with the connections to the service's instances: for those, rpcx has
// client.Option.TLSConfig, and Guard.TLS wants the same. Without a ServerName in tc, ZooKeeper's certificate must be for the name in the server entry that
// is being connected.
func WithTLS(tc *tls.Config) Option {
	return optionFunc(func(c *config) {
		if tc == nil {
			c.mistake("WithTLS(nil): a configuration is needed")
			return
		}
		c.tls = tc.Clone()
	})
}

// WithDialer makes the connections. It gets each server entry as it was given; resolving names is its business then. It should honour ctx: a
// call that does not is left behind.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return optionFunc(func(c *config) {
		if c.dial = dial; dial == nil {
			c.mistake("WithDialer(nil): a function is needed")
		}
	})
}

// WithLogger gets what happens: changes at Info and Warn, repetitions at Debug. The default is slog.Default(), looked up at each line, for what is
// at Warn or above. slog.New(slog.DiscardHandler) is silence. Credentials and metadata never reach it.
//
// A repeated message is limited. It is logged eight times, and once for each of eight services. Then lines are withheld: after a minute the newest is
// logged with the attribute withheld=<how many>, later after longer pauses. Loggers that share a handler share the limit. The handler is called on
// the library's goroutines, so a slow handler slows the library.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) {
		if l == nil {
			c.mistake("WithLogger(nil): a logger is needed")
			return
		}
		c.log = logs.Limited(l)
	})
}

// WithObserver sets hooks, for metrics of your own.
func WithObserver(o Observer) Option { return optionFunc(func(c *config) { c.observer = o }) }

// WithoutMetadataWatch follows membership only: an instance's metadata is read when it appears, and looked at again now and then. It spares
// ZooKeeper a watch per instance and client, for services that rewrite their metadata all the time.
func WithoutMetadataWatch() Option { return optionFunc(func(c *config) { c.noMetadata = true }) }

// WithoutWireExtension does without ZooKeeper's persistent watches and batched reads on servers that have them (3.6 and later): one watch per service,
// and one small read per change, become one watch per instance, and a list of all names per change. By default they are used where a server has them,
// and Status.Wire says so. The environment variable HOLDFAST_WIRE=off does the same for a program that cannot be built anew. With
// WithoutMetadataWatch persistent watches are not used: they would tell every change of metadata.
func WithoutWireExtension() Option { return optionFunc(func(c *config) { c.noExtension = true }) }

// extension is what is made use of on servers that have it.
func (c *config) extension() session.Extension {
	if c.noExtension {
		return session.Extension{}
	}
	return session.Extension{Lasting: !c.noMetadata, Batches: true}.Allowed()
}

func (c *config) mistake(format string, args ...any) {
	c.mistakes = append(c.mistakes, fmt.Errorf(format, args...))
}

// newConfig joins every mistake in what the caller gave, the service paths included; nothing has started when it fails.
func newConfig(basePath string, servers []string, opts []Option, services ...string) (*config, error) {
	c := defaultConfig()
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	var err error
	if c.base, err = znode.BasePath(basePath); err != nil {
		c.mistakes = append(c.mistakes, err)
	}
	for _, service := range services {
		if _, err := c.servicePath(service); err != nil {
			c.mistakes = append(c.mistakes, err)
		}
	}
	if c.addrs, c.chroot, err = session.ParseServers(servers); err != nil {
		c.mistakes = append(c.mistakes, err)
	}
	if c.noCache && c.cacheDirSet {
		c.mistake("WithoutCache contradicts WithCacheDir(%q)", c.cacheDir)
	}
	if c.noCache && c.overrideDir != "" {
		c.mistake("WithoutCache contradicts WithOverrideDir(%q)", c.overrideDir)
	}
	if c.noCache && c.maxCacheAge > 0 {
		c.mistake("WithoutCache contradicts WithMaxCacheAge(%v)", c.maxCacheAge)
	}
	if c.noGuard && c.guardSet {
		c.mistake("WithoutGuard contradicts WithGuard")
	}
	c.mistakes = append(c.mistakes, drive.Guard(c.guard).Validate()...)
	if c.cacheDirSet && isFile(c.cacheDir) {
		c.mistake("WithCacheDir(%q): is not a directory", c.cacheDir)
	}
	if err := errors.Join(c.mistakes...); err != nil {
		return nil, fmt.Errorf("zkdiscovery: %w", err)
	}
	c.ensemble = ensembleID(c.ensembleName, c.addrs, c.chroot)
	return &c, nil
}

// servicePath is the znode path of a service.
func (c *config) servicePath(service string) (string, error) {
	return znode.ServicePath(c.base, service)
}
