package selector

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/holdfast-go/holdfast/internal/logs"
	"github.com/holdfast-go/holdfast/internal/probe"
	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// Option changes one of New's defaults.
type Option interface{ apply(*config) }

// option sets what it was given, and has what is wrong with that.
type option struct {
	set     func(*config)
	mistake error
}

func (o option) apply(c *config) {
	o.set(c)
	c.mistakes = append(c.mistakes, o.mistake)
}

// mistake returns the error if something is wrong.
func mistake(wrong bool, format string, args ...any) error {
	if !wrong {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// config is everything that is decided before the first list.
type config struct {
	policy     Policy
	zone       string
	position   position
	key        KeyFunc
	bound      float64
	subset     int
	client     string
	clientSet  bool
	clientHash uint64 // 0 without a subset
	ramp       int64  // milliseconds
	ejection   Ejection
	probing    Probing
	probeSet   bool
	noProbing  bool
	live       func() bool
	log        *slog.Logger
	observer   Observer

	onlyTagged bool
	retryShare float64
	retryLeast int
	rules      health.Rules // of ejection

	mistakes []error // of the options themselves; nil where there is none
}

func defaultConfig() config {
	return config{policy: P2C, position: nowhere, live: func() bool { return true }, log: logs.Default(), retryShare: 0.2, retryLeast: 10}
}

// WithPolicy sets how a server is chosen. The default is P2C.
func WithPolicy(p Policy) Option {
	return option{func(c *config) { c.policy = p }, mistake(p < P2C || p > Random, "WithPolicy(%v): there is no such policy", p)}
}

// WithZone says in which zone this client is, for Locality: servers whose metadata have the same zone=… come first.
func WithZone(zone string) Option {
	return option{func(c *config) { c.zone = zone }, mistake(zone == "", "WithZone(%q): a name is needed", zone)}
}

// WithPosition says where on Earth this client is, in degrees, for Locality: servers whose latitude=… and longitude=… are nearer come first, those
// within 50 km of each other together, those without a position last. With WithZone too, the zone counts first.
func WithPosition(latitude, longitude float64) Option {
	p := position{latitude, longitude}
	return option{func(c *config) { c.position = p }, mistake(!p.valid(), "WithPosition(%v, %v): -90 to 90 and -180 to 180 are needed", latitude, longitude)}
}

// WithKey says what ConsistentHash goes by. The default is the service's path, the method and the arguments as fmt's %v prints them, as with rpcx;
// that differs from process to process where arguments have pointers in them below the first level, and costs time where they are large. The
// function is called under XClient's lock: it must be quick and must not call the XClient. If it panics, the default is used.
func WithKey(key KeyFunc) Option {
	return option{func(c *config) { c.key = key }, mistake(key == nil, "WithKey(nil): a function is needed")}
}

// WithLoadBound is how many times the mean of calls in flight a server may have with ConsistentHash, by its weight, before its keys go to the next
// one on the ring. The default is 1.25; less keeps the load more even, more keeps keys together. Below 8 calls a server is never full. It is
// of no effect where nobody reports the outcomes of picks.
func WithLoadBound(factor float64) Option {
	wrong := !(factor >= 1.01 && factor <= 1000) // NaN is neither
	return option{func(c *config) { c.bound = factor }, mistake(wrong, "WithLoadBound(%v): 1.01 to 1000 is needed", factor)}
}

// WithSubset lets this client use n of the servers only, of a fleet so large that a connection to each is too much: the n that it prefers by a hash
// of its name (WithClientID) and the server's key, so that many clients use all servers about equally often. When a server comes or goes, at most
// one of the n changes. For those of them that fail the next are used too, 2n in all at most, until they are back.
func WithSubset(n int) Option {
	return option{func(c *config) { c.subset = n }, mistake(n <= 0, "WithSubset(%d): must be positive", n)}
}

// WithClientID names this client, for WithSubset. The default is the host's name and the process ID: a container keeps its subset over a restart, a
// process on a machine does not. Clients of the same name use the same servers. ConsistentHash with WithSubset needs it: only clients
// that use the same servers send a key to the same one.
func WithClientID(id string) Option {
	return option{func(c *config) { c.client, c.clientSet = id, true }, mistake(id == "", "WithClientID(%q): a name is needed", id)}
}

// WithSlowStart gives a server that has just started a tenth of its calls at first, and all after d; 30 s is usual. A server whose metadata have
// started=<unix seconds> is as old as that says, also in the first list. One that does not say is as old as its place in the list; those of the first list,
// and those that join while the list is not live (WithLive), do not start slowly. Nobody starts slowly for longer than d after this client has
// first seen the server. The default is 0: nobody does.
func WithSlowStart(d time.Duration) Option {
	return option{func(c *config) { c.ramp = d.Milliseconds() }, mistake(d < 0, "WithSlowStart(%v): must not be negative", d)}
}

// WithEjection configures what happens to servers that fail.
func WithEjection(e Ejection) Option {
	return option{set: func(c *config) { c.ejection = e }}
}

// WithProbing configures how servers are asked in the background whether they are there.
func WithProbing(p Probing) Option {
	return option{set: func(c *config) { c.probing, c.probeSet = p, true }}
}

// WithoutProbing asks no server in the background. Calls find out then: one at a time goes to a server that has never answered or is to come back,
// and XClient dials it while all others wait.
func WithoutProbing() Option { return option{set: func(c *config) { c.noProbing = true }} }

// WithLive says whether the list is live, for instance
//
//	selector.WithLive(d.Live)
//
// where d is a zkdiscovery.Discovery.
//
// While it is not, half as many servers are ejected, and who joins does not start slowly. The default is that it always is. It is called outside the
// Selector's locks, once a second at most and with each list, also under XClient's lock: it must not block, nor call the XClient. If it
// panics, the list is not live.
func WithLive(live func() bool) Option {
	return option{func(c *config) { c.live = live }, mistake(live == nil, "WithLive(nil): a function is needed")}
}

// WithOnlyTagged lets a call with a tag (WithTag) go to servers of that tag only: when none is listed, the call fails with client.ErrXClientNoServer. The
// default is that such calls go to servers without a tag when none of the tag can be used.
func WithOnlyTagged() Option { return option{set: func(c *config) { c.onlyTagged = true }} }

// WithRetryBudget bounds the retries of Failover and the backups of Failbackup through Wrap: of the calls of the last ten seconds, at most share, and
// perSecond more for each of these seconds. Beyond it a call ends with its first error, or waits for its first request. The default is 0.2 and 10. Two
// things are outside: Failtry, which calls its server again without selecting, and an XClient that is not wrapped. rpcx still sleeps its
// Option.RetryInterval for each of the retries that are not made.
func WithRetryBudget(share float64, perSecond int) Option {
	return option{
		func(c *config) { c.retryShare, c.retryLeast = share, perSecond },
		mistake(!(share >= 0 && share <= 100) || perSecond < 0, "WithRetryBudget(%v, %d): a share of 0 to 100 and at least 0 per second are needed", share, perSecond),
	}
}

// WithoutRetryBudget lets every call retry as often as rpcx's Option.Retries says.
func WithoutRetryBudget() Option { return WithRetryBudget(100, math.MaxInt32) }

// WithLogger gets what happens: servers that fail and come back at Info, what concerns them all at Warn, repetitions at Debug. The default is
// slog.Default(), looked up at each line, for what is at Warn or above. slog.New(slog.DiscardHandler) is silence. A message that is repeated is
// logged a few times, then counted in the attribute withheld. Loggers that share a handler share the limit.
func WithLogger(l *slog.Logger) Option {
	return option{func(c *config) { c.log = l }, mistake(l == nil, "WithLogger(nil): a logger is needed")}
}

// WithObserver sets hooks for metrics.
func WithObserver(o Observer) Option { return option{set: func(c *config) { c.observer = o }} }

// newConfig joins every mistake in what the caller gave.
func newConfig(opts []Option) (*config, error) {
	c := defaultConfig()
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	onlyFor := func(p Policy, set bool, name string) error {
		return mistake(set && c.policy != p, "%s contradicts WithPolicy(%v): only %v uses it", name, c.policy, p)
	}
	c.mistakes = append(
		c.mistakes,
		mistake(c.policy == Locality && c.zone == "" && !c.position.valid(), "WithPolicy(Locality) needs WithZone or WithPosition"),
		onlyFor(Locality, c.zone != "", "WithZone"),
		onlyFor(Locality, c.position.valid(), "WithPosition"),
		onlyFor(ConsistentHash, c.key != nil, "WithKey"),
		onlyFor(ConsistentHash, c.bound != 0, "WithLoadBound"),
		mistake(c.clientSet && c.subset == 0, "WithClientID needs WithSubset"),
		mistake(c.policy == ConsistentHash && c.subset > 0 && !c.clientSet, "WithPolicy(ConsistentHash) and WithSubset need WithClientID"),
		mistake(c.noProbing && c.probeSet, "WithoutProbing contradicts WithProbing"),
		c.ejection.check(),
		c.probing.check(),
	)
	if err := errors.Join(c.mistakes...); err != nil {
		return nil, fmt.Errorf("selector: %w", err)
	}
	c.ejection, c.probing = c.ejection.withDefaults(), c.probing.withDefaults()
	c.rules = c.ejection.rules()
	c.log = logs.Limited(c.log)
	if c.bound == 0 {
		c.bound = 1.25
	}
	if c.subset > 0 {
		if !c.clientSet {
			host, _ := os.Hostname() // without it, the process ID is a name, too
			c.client = fmt.Sprintf("%s/%d", host, os.Getpid())
		}
		c.clientHash = xxhash.Sum64String(c.client)
	}
	return &c, nil
}

// Ejection configures what happens to servers that fail. A zero field has its default.
type Ejection struct {
	// Consecutive is after how many failed calls in a row a server is ejected: broken connections, and answers that did not come in time. Errors
	// that the service returned are successes of the server. The default is 5.
	Consecutive int
	// Base is how long the first ejection lasts. Each further one lasts longer by Base, up to Max. Each Base without an ejection takes one off again.
	// The defaults are 30 s and 5 min.
	Base, Max time.Duration
	// DialBase is how long a server is put aside when it cannot be connected: half of it to the whole, at random. Each further failure doubles it, up to
	// DialMax. The defaults are 1 s and 60 s.
	DialBase, DialMax time.Duration
	// Share of the servers that may be out of use because they failed, in (0, 1]; the default is 0.5. When more fail, the ejected ones are used
	// again: then the evidence is bad, not the servers. Servers that could not be reached stay out of use.
	// While the list is not live (WithLive), half as many are ejected.
	Share float64
}

func (e Ejection) withDefaults() Ejection {
	return Ejection{
		Consecutive: cmp.Or(e.Consecutive, 5),
		Base:        cmp.Or(e.Base, 30*time.Second),
		Max:         cmp.Or(e.Max, 5*time.Minute),
		DialBase:    cmp.Or(e.DialBase, time.Second),
		DialMax:     cmp.Or(e.DialMax, time.Minute),
		Share:       cmp.Or(e.Share, 0.5),
	}
}

// rules are the options in the clock's milliseconds.
func (e Ejection) rules() health.Rules {
	ms := func(d time.Duration) int64 { return max(1, d.Milliseconds()) }
	return health.Rules{Consecutive: e.Consecutive, Base: ms(e.Base), Max: ms(e.Max), DialBase: ms(e.DialBase), DialMax: ms(e.DialMax)}
}

func (e Ejection) check() error {
	full := e.withDefaults()
	span := func(field string, d time.Duration, limit string, most time.Duration) error {
		return cmp.Or(
			mistake(d < 0, "WithEjection: %s %v: must not be negative", field, d),
			mistake(most < 0, "WithEjection: %s %v: must not be negative", limit, most),
			mistake(d > most, "WithEjection: %s %v: must not be above %s, %v", field, d, limit, most),
		)
	}
	return errors.Join(
		mistake(e.Consecutive < 0, "WithEjection: Consecutive %d: must not be negative", e.Consecutive),
		mistake(!(e.Share >= 0 && e.Share <= 1), "WithEjection: Share %v: must be in (0, 1]", e.Share), // NaN is neither
		span("Base", full.Base, "Max", full.Max),
		span("DialBase", full.DialBase, "DialMax", full.DialMax),
	)
}

// Probing configures how servers are asked in the background whether they are there: when they join, and when they are to come back after a
// failure. A zero field has its default. rpcx dials while it holds XClient's lock, and all other calls wait. A probe dials outside it. The price is one short connection to each server that joins, from each client that uses it (WithSubset makes that fewer).
type Probing struct {
	// Probe asks a server whether it is there; nil is the answer "yes". The default connects and exchanges one rpcx heartbeat, on the networks tcp,
	// unix and http. It runs outside every lock; one that panics, or has not returned after Timeout, counts as no answer. When probes have
	// reached no server and calls are answered, the silence of probes is not believed. An error of this machine (no file descriptor, no local port, no route) or of its name server says
	// nothing about the server: a call may find out.
	Probe Probe
	// Timeout bounds one probe. The default is 1 s, as rpcx's ConnectTimeout.
	Timeout time.Duration
	// Parallel is how many probes of this Selector run at once, 1,000 at most. The default is 32. The whole process runs 64 at once at most, and takes at most
	// a quarter of the free file descriptors for them; services take turns.
	Parallel int
	// TLS is what rpcx's clients use to reach the servers (client.Option.TLSConfig), for the default probe.
	TLS *tls.Config
}

// Probe asks the server at address, of rpcx's network ("tcp", "unix", …), whether it is there: nil says that it is, an error that is
// errors.ErrUnsupported that this probe cannot ask on that network. It must return when ctx ends.
type Probe func(ctx context.Context, network, address string) error

// maxParallel bounds Probing.Parallel. What runs at once is bounded by the process, too.
const maxParallel = 1000

func (p Probing) withDefaults() Probing {
	p.Timeout, p.Parallel = cmp.Or(p.Timeout, probe.DefaultTimeout), cmp.Or(p.Parallel, 32)
	if p.Probe == nil {
		p.Probe = Probe(probe.Heartbeat(p.TLS))
	}
	return p
}

func (p Probing) check() error {
	return errors.Join(
		mistake(p.Timeout < 0, "WithProbing: Timeout %v: must not be negative", p.Timeout),
		mistake(p.Parallel < 0 || p.Parallel > maxParallel, "WithProbing: Parallel %d: must be at most %d, and not negative", p.Parallel, maxParallel),
		mistake(p.Probe != nil && p.TLS != nil, "WithProbing: TLS contradicts Probe: only the default probe uses it"),
	)
}
