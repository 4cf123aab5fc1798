package guard

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// Settings is what a user may say about a guard; zero fields have their defaults. The packages that offer one have a documented struct of their
// own, with the same fields, which converts to this.
type Settings struct {
	Share        float64
	Window       time.Duration
	Hold         time.Duration
	HoldUnprobed time.Duration
	Probe        probe.Probe
	ProbeTimeout time.Duration
	Parallel     int
	TLS          *tls.Config
}

// maxParallel bounds Settings.Parallel. What runs at once is bounded by the process, too: see package probe.
const maxParallel = 1000

// Validate says which value breaks which rule.
func (s Settings) Validate() (mistakes []error) {
	bad := func(field string, value any, rule string) {
		mistakes = append(mistakes, fmt.Errorf("WithGuard: %s %v: %s", field, value, rule))
	}
	if !(s.Share >= 0 && s.Share <= 1) { // NaN is neither
		bad("Share", s.Share, "must be in (0, 1]")
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"Window", s.Window}, {"Hold", s.Hold}, {"HoldUnprobed", s.HoldUnprobed}, {"ProbeTimeout", s.ProbeTimeout}} {
		if d.value < 0 {
			bad(d.field, d.value, "must not be negative")
		}
	}
	if s.Parallel < 0 || s.Parallel > maxParallel {
		bad("Parallel", s.Parallel, fmt.Sprintf("must be at most %d, and not negative", maxParallel))
	}
	return mistakes
}

// NewGuard returns the guard of one service; disabled, it obeys at once.
func (s Settings) NewGuard(disabled bool) *Guard {
	return New(Config{
		Share: s.Share, Window: s.Window, Hold: s.Hold, Unprobed: s.HoldUnprobed, Parallel: s.Parallel, Disabled: disabled,
		Jitter: func(d time.Duration) time.Duration { return rand.N(d) },
	})
}

// NewQueue returns what asks for it.
func (s Settings) NewQueue() *probe.Queue {
	p := s.Probe
	if p == nil {
		p = probe.Heartbeat(s.TLS)
	}
	return probe.NewQueue(probe.Settings{Probe: p, Timeout: s.ProbeTimeout, Parallel: cmp.Or(s.Parallel, DefaultParallel)})
}
