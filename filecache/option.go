package filecache

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs"
)

// Option changes one default of Open or Wrap.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	maxAge       time.Duration
	logger       *slog.Logger
	sameEnsemble func(ours, theirs string) bool
	pollingOnly  bool
	service      string
	guard        Guard
	guardSet     bool
	noGuard      bool
}

func defaultConfig() config {
	return config{
		logger:       logs.Default(),
		sameEnsemble: func(ours, theirs string) bool { return ours == theirs },
	}
}

func newConfig(opts []Option) config {
	c := defaultConfig()
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	return c
}

// validate says which value breaks which rule.
func (c config) validate() error {
	mistakes := c.guard.settings().Validate()
	if c.maxAge < 0 {
		mistakes = append(mistakes, fmt.Errorf("WithMaxAge(%v): an age is not negative (0: any age)", c.maxAge))
	}
	if c.guardSet && c.noGuard {
		mistakes = append(mistakes, errors.New("WithoutGuard contradicts WithGuard"))
	}
	return errors.Join(mistakes...)
}

// forOpen says what is only for Wrap.
func (c config) forOpen() error {
	var mistakes []error
	if c.service != "" {
		mistakes = append(mistakes, fmt.Errorf("WithService(%q): it is for Wrap; Open has the service as its argument", c.service))
	}
	if c.guardSet || c.noGuard {
		mistakes = append(mistakes, errors.New("WithGuard, WithoutGuard: they are for Wrap; Open saves what it is given"))
	}
	return errors.Join(mistakes...)
}

// WithMaxAge refuses a snapshot that its source confirmed (AsOf) longer than d ago; Load then returns ErrTooOld. The default 0 takes
// any age: an old list is better than none. A snapshot that was confirmed in the future, by a clock that was ahead or before ours was set
// back, is of unknown age: it is refused, too, while it is further ahead than d. Trap: a discovery which does not re-stamp AsOf while its
// list is confirmed makes a quiet service look old; Wrap is such a one.
func WithMaxAge(d time.Duration) Option {
	return optionFunc(func(c *config) { c.maxAge = d })
}

// WithLogger says where the Cache reports what is nobody's error to return: a damaged file that was set aside, a bad override, file
// notifications that do not work. The default, also for nil, is slog.Default(), looked up at each line, for what is at Warn or above;
// slog.New(slog.DiscardHandler) is silence. Values (metadata) are never logged. A message that is repeated is told a few times, and then counted
// with the attribute withheld; all that logs to one handler is counted together.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) {
		if l != nil {
			c.logger = logs.Limited(l)
		}
	})
}

// WithEnsembleMatch replaces the rule by which a file of ensemble theirs counts as ours. The default, also for nil, is equality. It should
// only compare: it is called from whatever goroutine reads a file, also while a Save is under way, and must not call the Cache.
func WithEnsembleMatch(match func(ours, theirs string) bool) Option {
	return optionFunc(func(c *config) {
		if match != nil {
			c.sameEnsemble = match
		}
	})
}

// WithPollingOnly makes Watch look every 5 s (jittered) instead of being notified. It is for file systems on which notification does
// not work (NFS, many FUSE file systems) and for processes that are short of inotify instances.
func WithPollingOnly() Option {
	return optionFunc(func(c *config) { c.pollingOnly = true })
}

// WithService names the service that the discovery given to Wrap lists; its file is called after it. The default, also for "", is
// "default". Trap: two wrapped discoveries with one directory and one service name share a file, so name the service wherever a directory
// serves more than one. Clones need no name, they have their service path. Open refuses this option: there the service is an argument.
func WithService(name string) Option {
	return optionFunc(func(c *config) { c.service = name })
}

// WithGuard configures what Wrap does about a sudden loss of many servers; see Guard for the defaults. Open refuses it.
func WithGuard(g Guard) Option {
	return optionFunc(func(c *config) { c.guard, c.guardSet = g, true })
}

// WithoutGuard makes Wrap obey the wrapped discovery at once, whatever it lists. It is for a source whose word is final, such as a
// MultipleServersDiscovery that the program updates itself. Trap: behind a registry, one empty list after an outage, and every client is without
// servers. Open refuses it.
func WithoutGuard() Option {
	return optionFunc(func(c *config) { c.noGuard = true })
}
