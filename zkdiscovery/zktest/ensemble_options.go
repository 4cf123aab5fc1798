package zktest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// WithConfigLines adds lines such as "maxClientCnxns=3" to the zoo.cfg of every server of an Ensemble. They win over what the ensemble
// writes there itself. The in-process server has no zoo.cfg and ignores them.
func WithConfigLines(lines ...string) Option {
	return ensembleOption(func(c *ensembleConfig) { c.lines = append(c.lines, lines...) })
}

// WithJavaOptions adds options such as "-Xmx1g" to the command line of every server of an Ensemble. They win over what the ensemble gives there itself:
// a heap of 256 MB, enough for 100,000 small znodes. The in-process server ignores them.
func WithJavaOptions(options ...string) Option {
	return ensembleOption(func(c *ensembleConfig) { c.java = append(c.java, options...) })
}

// withLogDir keeps an ensemble's logs where a test's artifacts go.
func withLogDir(dir string) Option {
	return ensembleOption(func(c *ensembleConfig) { c.logDir = dir })
}

// ensembleOption is an Option that only an Ensemble understands.
type ensembleOption func(*ensembleConfig)

func (ensembleOption) apply(*config) {}

type ensembleConfig struct {
	config
	lines  []string
	java   []string
	logDir string // empty: in the ensemble's own directory
}

func newEnsembleConfig(n int, opts []Option) (ensembleConfig, error) {
	// Ticks a tenth as long as a real installation's, so that tests need not wait long for an expiry; but sessions as long as one likes.
	shared, err := newConfig(slices.Concat([]Option{WithTick(200 * time.Millisecond), WithSessionTimeouts(0, time.Minute)}, opts))
	c := ensembleConfig{config: shared}
	for _, o := range opts {
		if o, ok := o.(ensembleOption); ok {
			o(&c)
		}
	}
	errs := []error{err}
	if n != 1 && n != 3 {
		errs = append(errs, fmt.Errorf("an ensemble has 1 or 3 servers, not %d", n))
	}
	for _, line := range c.lines {
		if key, _, ok := strings.Cut(line, "="); !ok || strings.TrimSpace(key) == "" || strings.ContainsAny(line, "\r\n") {
			errs = append(errs, fmt.Errorf("config line %q: must be one line, key=value", line))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return c, fmt.Errorf("zktest: %w", err)
	}
	return c, nil
}
