package filecache

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/holdfast-go/holdfast/internal/drive"
	"github.com/holdfast-go/holdfast/internal/probe"
)

// Guard configures what Wrap does about a sudden loss of many servers: it suspects it instead of obeying it, keeps the missing ones in the list,
// asks them itself, and lets those go that do not answer. A zero field has its default; WithoutGuard turns the guard off.
type Guard struct {
	// Share of the servers in (0, 1]: when more than that are lost within Window, the loss is suspicious. The default is 0.5. Each newcomer makes up for
	// one earlier loss. So a fleet that is replaced is no loss, however often and in whatever order that is done, as long as enough servers are there. A
	// loss that leaves no active server is always suspicious.
	Share float64
	// Window over which losses are counted. The default is a minute: a registry that has lost its memory forgets servers one by one, as their leases
	// or sessions end, and Wrap cannot know how long those are.
	Window time.Duration
	// Hold is how long a missing server is kept without an answer. Two failed probes in a row end it sooner. A hold does not end before the server was
	// asked twice, or an hour has passed. The default is 5 min.
	Hold time.Duration
	// HoldUnprobed is the same for servers that probes cannot ask. A server of a network without a probe (quic, kcp, …) is one. So is every server of a
	// service that no probe has ever reached, for example because its servers speak TLS and the probe does not. The default is 1 min.
	HoldUnprobed time.Duration
	// Probe asks a server whether it is there; nil is the answer "yes". The default is HeartbeatProbe(TLS). It runs outside every lock. One that
	// panics, or has not returned after ProbeTimeout, counts as no answer. An error of this machine (no file descriptor, no local port, no route) or
	// of its name server says nothing about the server, which is asked again.
	//
	// One listed server of each service is asked in good times, soon after the start, until one has answered: that tells whether probes reach
	// the service at all.
	Probe Probe
	// ProbeTimeout bounds one probe. The default is 1 s.
	ProbeTimeout time.Duration
	// Parallel is how many probes of one service run at once, 1,000 at most. The default, 0, sets no bound of its own. The whole process runs 64 at
	// once at most, and takes at most a quarter of the free file descriptors for them; services take turns.
	Parallel int
	// TLS is what rpcx's clients use to reach the servers (client.Option.TLSConfig), for the default probe.
	TLS *tls.Config
}

// defaultWindow is Guard.Window's.
const defaultWindow = time.Minute

// Probe asks the server at address, of rpcx's network ("tcp", "unix", …), whether it is there: nil says that it is, an error that is
// errors.ErrUnsupported that this probe cannot ask on that network. It must return when ctx ends.
type Probe = func(ctx context.Context, network, address string) error

// HeartbeatProbe connects and exchanges one rpcx heartbeat, with TLS where tc is not nil, on the networks tcp, unix and http. Something else that
// listens on a reused address does not count as an answer; an rpcx server that answers with an error does.
func HeartbeatProbe(tc *tls.Config) Probe { return probe.Heartbeat(tc) }

// DialProbe connects and asks for nothing: cheaper than a heartbeat, and content with anything that listens.
func DialProbe() Probe { return probe.Dial }

// drive is g, as what serves every guard has it.
func (g Guard) drive() drive.Guard {
	if g.Window == 0 {
		g.Window = defaultWindow
	}
	return drive.Guard(g)
}
