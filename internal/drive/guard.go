package drive

import (
	"crypto/tls"
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/probe"
)

// Guard is what a user may say about the guard. A zero field has its default. The packages that offer one have a documented struct of their own, with
// the same fields, which converts to this.
type Guard struct {
	Share        float64
	Window       time.Duration
	Hold         time.Duration
	HoldUnprobed time.Duration
	Probe        probe.Probe
	ProbeTimeout time.Duration
	Parallel     int
	TLS          *tls.Config
}

// Config is what a belief decides by. obey says that there is to be no guard.
func (g Guard) Config(obey bool) belief.Config {
	return belief.Config{Share: g.Share, Window: g.Window, Hold: g.Hold, Unprobed: g.HoldUnprobed, Obey: obey}
}

// Validate says which value breaks which rule.
func (g Guard) Validate() []error {
	return append(g.Config(false).Validate(), g.probing().Validate()...)
}

func (g Guard) probing() probe.Settings {
	s := probe.Settings{Probe: g.Probe, Timeout: g.ProbeTimeout, Parallel: g.Parallel}
	if s.Probe == nil {
		s.Probe = probe.Heartbeat(g.TLS)
	}
	return s
}
