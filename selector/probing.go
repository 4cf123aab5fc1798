package selector

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
)

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
