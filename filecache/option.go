package filecache

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs"
)

// Option changes one default of Open or Wrap.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	maxAge      time.Duration
	logger      *slog.Logger
	pollingOnly bool
	overrideDir string
	ensemble    string
	nameOnly    bool
	readOnly    bool
	service     string
	guard       Guard
	guardSet    bool
	noGuard     bool
}

func defaultConfig() config {
	return config{logger: logs.Default()}
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
	mistakes := c.guard.drive().Validate()
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
	if c.ensemble != "" {
		mistakes = append(mistakes, fmt.Errorf("WithEnsemble(%q): it is for Wrap and Connect; Open has the ensemble as its argument", c.ensemble))
	}
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

// WithLogger says where the Cache reports what no method can return as an error: a damaged file that was set aside, a bad override, file
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

// WithOverrideDir names a directory in which overrides are looked for, too, flat as a mounted ConfigMap is. The override of a service has the
// service's whole name, without the first slash, each other slash written as two underscores, and ".json":
//
//	/prod/rpcx/Arith     prod__rpcx__Arith.json
//	Arith                Arith.json
//
// Nothing is written there. An override in the cache directory wins over one here. The default, also for "", is none. Trap: the names say nothing of the
// ensemble, so that two ensembles with services of the same name need two directories.
func WithOverrideDir(dir string) Option {
	return optionFunc(func(c *config) {
		if c.overrideDir = dir; dir != "" {
			if abs, err := filepath.Abs(dir); err == nil { // otherwise it stays as it is, and follows the working directory
				c.overrideDir = abs
			}
		}
	})
}

// WithPollingOnly makes Watch look every 5 s (jittered) instead of being notified. It is for file systems on which notification does
// not work (NFS, many FUSE file systems) and for processes that are short of inotify instances.
func WithPollingOnly() Option {
	return optionFunc(func(c *config) { c.pollingOnly = true })
}

// WithEnsemble names the registry that Wrap or Connect is for, and so its directory below the one that they are given. The default, also for "", is the type
// of the wrapped discovery with Wrap, and "registry" with Connect. It is needed where one directory serves two registries of one type. Open refuses it: there
// the ensemble is an argument.
func WithEnsemble(name string) Option {
	return optionFunc(func(c *config) { c.ensemble = name })
}

// WithNamedEnsemble takes the ensemble that Open is given for a name, even if it looks like hosts with ports: only a directory of exactly this name is ours.
func WithNamedEnsemble() Option {
	return optionFunc(func(c *config) { c.nameOnly = true })
}

// WithReadOnly leaves the disk as it is: Open finds the files and makes no directory, a damaged file stays where it is, and Save fails. It is for a look at the
// files of another program, perhaps as another user, whose directories that program could not write.
func WithReadOnly() Option {
	return optionFunc(func(c *config) { c.readOnly = true })
}

// WithService names the service that the discovery given to Wrap or Connect lists; its directory is called after it. The default, also for "", is
// "default". Trap: two wrapped discoveries with one directory and one service name share a file, so name the service wherever a directory
// serves more than one. Clones need no name, they have their service path. Open refuses this option: there the service is an argument.
func WithService(name string) Option {
	return optionFunc(func(c *config) { c.service = name })
}

// WithGuard configures what Wrap does about a sudden loss of many servers; see Guard for the defaults. Open refuses it.
func WithGuard(g Guard) Option {
	return optionFunc(func(c *config) { c.guard, c.guardSet = g, true })
}

// WithoutGuard makes Wrap obey the wrapped discovery at once, whatever it lists. It is for a source that is always right, such as a
// MultipleServersDiscovery that the program updates itself. Trap: behind a registry, one empty list after an outage, and every client is without
// servers. Open refuses it.
func WithoutGuard() Option {
	return optionFunc(func(c *config) { c.noGuard = true })
}
