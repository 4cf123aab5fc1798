package zkdiscovery

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/internal/guard"
)

// Guard configures the guard, which suspects a sudden loss of many instances instead of obeying it: it keeps the missing ones in the list, asks
// them itself, and lets those go that do not answer. A zero field has its default; WithoutGuard turns the guard off.
type Guard struct {
	// Share of the instances that must be lost within Window to be suspicious: more than that. In (0, 1]; the default is 0.5. A loss that leaves
	// no active instance is suspicious always, and so is every loss in the Window after a reconnect.
	Share float64
	// Window over which losses are counted. The default is the negotiated session timeout: as long as expiries trickle in.
	Window time.Duration
	// Hold is how long a missing instance is kept that does not answer; two failed probes end it sooner. The default is 5 min.
	Hold time.Duration
	// HoldUnprobed is the same for instances whose network the probe cannot ask (quic, kcp, …). The default is 1 min.
	HoldUnprobed time.Duration
	// Probe asks an instance whether it is there; nil is the answer "yes". The default is HeartbeatProbe(TLS). It runs outside every lock; one
	// that panics, or has not returned after ProbeTimeout, counts as no answer.
	Probe Probe
	// ProbeTimeout bounds one probe. The default is 1 s.
	ProbeTimeout time.Duration
	// Parallel is how many probes run at once, 1,000 at most. The default is 8.
	Parallel int
	// TLS is what rpcx's clients use to reach the instances (client.Option.TLSConfig), for the default probe.
	TLS *tls.Config
}

// Probe asks the instance at address, of rpcx's network ("tcp", "unix", …), whether it is there: nil says that it is, an error that is
// errors.ErrUnsupported that this probe cannot ask on that network. It must return when ctx ends.
type Probe func(ctx context.Context, network, address string) error

// HeartbeatProbe connects and exchanges one rpcx heartbeat, with TLS where tc is not nil, on the networks tcp, unix and http. Something else that
// listens on a reused address does not count as an answer; an rpcx server that answers with an error does.
func HeartbeatProbe(tc *tls.Config) Probe { return Probe(guard.Heartbeat(tc)) }

// DialProbe connects and asks for nothing: cheaper than a heartbeat, and content with anything that listens.
func DialProbe() Probe { return guard.Dial }

func (g Guard) validate() (mistakes []error) {
	bad := func(field string, value any, rule string) {
		mistakes = append(mistakes, fmt.Errorf("WithGuard: %s %v: %s", field, value, rule))
	}
	if !(g.Share >= 0 && g.Share <= 1) { // NaN is neither
		bad("Share", g.Share, "must be in (0, 1]")
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"Window", g.Window}, {"Hold", g.Hold}, {"HoldUnprobed", g.HoldUnprobed}, {"ProbeTimeout", g.ProbeTimeout}} {
		if d.value < 0 {
			bad(d.field, d.value, "must not be negative")
		}
	}
	if g.Parallel < 0 || g.Parallel > maxParallel {
		bad("Parallel", g.Parallel, fmt.Sprintf("must be at most %d, and not negative", maxParallel))
	}
	return mistakes
}

// maxParallel bounds Guard.Parallel: each probe is two goroutines and a socket.
const maxParallel = 1000

// newGuard returns the guard of one service path.
func (c *config) newGuard() *guard.Guard {
	return guard.New(guard.Config{
		Share: c.guard.Share, Window: c.guard.Window, Hold: c.guard.Hold, Unprobed: c.guard.HoldUnprobed, Parallel: c.guard.Parallel,
		Disabled: c.noGuard,
		Jitter:   func(d time.Duration) time.Duration { return rand.N(d) },
	})
}

func (c *config) newProber() *guard.Prober {
	probe := guard.Probe(c.guard.Probe)
	if probe == nil {
		probe = guard.Heartbeat(c.guard.TLS)
	}
	return guard.NewProber(probe, cmp.Or(c.guard.ProbeTimeout, guard.DefaultProbeTimeout), cmp.Or(c.guard.Parallel, guard.DefaultParallel))
}
