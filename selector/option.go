package selector

import (
	"errors"
	"fmt"
)

// Option changes one of New's defaults.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	policy   Policy
	mistakes []error // found by options themselves
}

func defaultConfig() config { return config{policy: P2C} }

// WithPolicy sets how a server is chosen. The default is P2C.
func WithPolicy(p Policy) Option {
	return optionFunc(func(c *config) {
		if c.policy = p; p < P2C || p > Random {
			c.mistake("WithPolicy(%v): there is no such policy", p)
		}
	})
}

func (c *config) mistake(format string, args ...any) {
	c.mistakes = append(c.mistakes, fmt.Errorf(format, args...))
}

func newConfig(opts []Option) (*config, error) {
	c := defaultConfig()
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	if err := errors.Join(c.mistakes...); err != nil {
		return nil, fmt.Errorf("selector: %w", err)
	}
	return &c, nil
}
