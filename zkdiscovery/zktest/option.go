package zktest

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Option configures NewServer and NewEnsemble; one that only one of them understands says so.
type Option interface{ apply(*config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

// config is what the options add up to.
type config struct {
	tick       time.Duration
	minTimeout time.Duration // 0: 2 ticks
	maxTimeout time.Duration // 0: 20 ticks
	maxFrame   int
	logger     *slog.Logger
	journal    func(Commit)

	version          Version
	optimizedWatches bool // addWatch is refused
	watchPaths       bool // recursive watches tell their own path
}

func newConfig(opts []Option) (config, error) {
	c := config{
		tick:     2 * time.Second,
		maxFrame: 0xfffff,
		version:  Version38,
		logger:   slog.New(slog.DiscardHandler),
	}
	for _, o := range opts {
		o.apply(&c)
	}
	if c.minTimeout == 0 {
		c.minTimeout = 2 * c.tick
	}
	if c.maxTimeout == 0 {
		c.maxTimeout = 20 * c.tick
	}
	return c, c.validate()
}

func (c *config) validate() error {
	var errs []error
	if c.tick < time.Millisecond {
		errs = append(errs, fmt.Errorf("tick %v: at least 1ms", c.tick))
	}
	if c.minTimeout < time.Millisecond || c.maxTimeout < c.minTimeout {
		errs = append(errs, fmt.Errorf("session timeouts %v to %v: at least 1ms, and the first not above the second", c.minTimeout, c.maxTimeout))
	}
	if c.maxFrame < 1024 {
		errs = append(errs, fmt.Errorf("largest frame %d bytes: at least 1024", c.maxFrame))
	}
	if c.version < Version34 || c.version > Version39 {
		errs = append(errs, fmt.Errorf("version %v: there is none", c.version))
	}
	if c.logger == nil {
		errs = append(errs, errors.New("logger nil: leave the option out, or use slog.DiscardHandler"))
	}
	return errors.Join(errs...)
}

// WithTick sets ZooKeeper's tickTime (default 2s), from which the default session timeouts follow: 2 to 20 ticks.
func WithTick(d time.Duration) Option { return option(func(c *config) { c.tick = d }) }

// WithSessionTimeouts bounds what a client may negotiate (default 2 to 20 ticks). A client which asks for less or more is given the bound.
func WithSessionTimeouts(shortest, longest time.Duration) Option {
	return option(func(c *config) { c.minTimeout, c.maxTimeout = shortest, longest })
}

// WithMaxFrame is ZooKeeper's jute.maxbuffer (default 1,048,575 bytes): a longer request closes its connection.
func WithMaxFrame(bytes int) Option { return option(func(c *config) { c.maxFrame = bytes }) }

// WithJournal tells f of every change of the in-process server's tree, in order, before any client can hear of it. f is called under the
// server's lock: it must not call the Server. What it is given is its own.
func WithJournal(f func(Commit)) Option { return option(func(c *config) { c.journal = f }) }

// WithLogger receives what servers have to say: starts, stops and other faults at Info, sessions of the in-process server at Debug
// (default: discarded). The handler must not call the Server. Neither data nor credentials are logged.
func WithLogger(l *slog.Logger) Option { return option(func(c *config) { c.logger = l }) }

// WithVersion makes a Server like another version (default Version38). An Ensemble is of the version that is installed: see ZOOKEEPER_HOME.
func WithVersion(v Version) Option { return option(func(c *config) { c.version = v }) }

// WithOptimizedWatches makes a Server refuse addWatch and live on, as one with WatchManagerOptimized does. An Ensemble does not understand it.
func WithOptimizedWatches() Option { return option(func(c *config) { c.optimizedWatches = true }) }

// WithWatchPaths makes the notifications of recursive watches name the watch's path instead of the node's, as those of ClickHouse Keeper do. An
// Ensemble does not understand it.
func WithWatchPaths() Option { return option(func(c *config) { c.watchPaths = true }) }
