package serverplugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/words"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// Status is the state of a plugin for people and probes.
type Status struct {
	Registered bool            // as Registered has it
	Services   []ServiceStatus // sorted by name

	Connected      bool
	Server         string        // the one that is, or was last, connected
	SessionID      int64         // of the newest session
	SessionTimeout time.Duration // negotiated
	Since          time.Time     // when Connected changed last
	Sessions       int64         // sessions so far
	Connections    int64         // connections so far
	FailedRounds   int           // through all servers, since the last connection
	LastErr        error         // why there is no connection, or why the one before this ended

	Counters
}

// ServiceStatus is the state of one service.
type ServiceStatus struct {
	Name  string
	Path  string // of its node
	Phase Phase
	Since time.Time // of the phase
	Owner int64     // Yielded: the session that has the address now
	Err   error     // what a pending one waits for, where that is known. Otherwise what ZooKeeper refused last; nil when it does what is asked of it

	Operator []Word // an operator's words over the registered metadata, sorted by key: see WithOperator
}

// Counters count what was asked of ZooKeeper for the registrations.
type Counters struct {
	Looks     int64 // nodes read
	Writes    int64 // nodes created, changed or deleted
	Takeovers int64 // of them, those that replaced another session's node
	Failures  int64 // looks and writes that ended without success
}

func (c *Counters) count(a answer) {
	switch {
	case a.kind != found && a.kind != wrote:
		c.Failures++
	case a.kind == found:
		c.Looks++
	default:
		c.Writes++
		if a.action.kind == takeOver {
			c.Takeovers++
		}
	}
}

// Registered reports whether every service that is to be registered is registered: its last Register is done, its node exists and belongs to this
// process's session, and that session cannot have expired by what is known here. It is false while there is nothing to register, and after Drain
// and Stop. It does not block. It is for alerts: a readiness probe asks Ready, which does not turn false because ZooKeeper is away.
func (p *ZooKeeperRegisterPlugin) Registered() bool {
	p.mu.Lock()
	r := p.registrar
	p.mu.Unlock()
	return r != nil && r.pending(r.session.State(), r.report.Load()) == nil
}

// WaitRegistered blocks until Registered, or returns an OpError with ctx's error and the reason why one of the services is not registered,
// ErrStopped, or what Start fails for.
func (p *ZooKeeperRegisterPlugin) WaitRegistered(ctx context.Context) error {
	p.mu.Lock()
	r, err := p.begin()
	p.mu.Unlock()
	if err != nil {
		return err
	}
	for {
		rep := r.report.Load()
		st, moved := r.session.Changed()
		pending := r.pending(st, rep)
		if pending == nil {
			return nil
		}
		select {
		case <-rep.newer:
		case <-moved:
		case <-r.ctx.Done():
			return ErrStopped
		case <-ctx.Done():
			pending.Err = fmt.Errorf("%w: %w", ctx.Err(), pending.Err)
			return pending
		}
	}
}

// pending is why not everything is registered, with the session in that state and the loop's report; nil when it is.
func (r *registrar) pending(st session.State, rep *report) *OpError {
	r.mail.mu.Lock()
	wanted, claim, is := r.mail.wanted, r.mail.claim, r.mail.state
	r.mail.mu.Unlock()
	err := &OpError{Op: "register", Path: r.cfg.base + "/"}
	l := rep.open
	if l != nil {
		err.Path = l.order.path + "/" + r.cfg.instance
	}
	switch _, dead := over(rep.session, st); {
	case r.ctx.Err() != nil:
		err.Err = ErrStopped
	case wanted == 0:
		err.Err = errors.New("no service is to be registered")
	case l != nil && l.phase == Yielded:
		err.Err = fmt.Errorf("%w, session %s", ErrYielded, words.Hex(l.owner))
	case claim <= rep.taken && l == nil && !dead:
		return nil
	default:
		err.Err = cmp.Or(r.waitsFor(l, is, st), errors.New("not yet"))
	}
	return err
}

// waitsFor is why a service is pending, with that line, or nil for one that the loop has not said anything of; nil when nothing is known.
func (r *registrar) waitsFor(l *line, is state, st session.State) error {
	switch {
	case !is.listening && r.cfg.server != nil:
		return errors.New("the server does not listen yet")
	case !is.ready && is.why != nil:
		return fmt.Errorf("the program is not ready: %w", is.why)
	case !st.Connected:
		return notConnected(st)
	case l != nil && l.err != nil:
		return l.err.Err
	}
	return nil
}

func notConnected(st session.State) error {
	if st.Err == nil {
		return session.ErrNotConnected
	}
	return fmt.Errorf("%w: %w", session.ErrNotConnected, st.Err)
}

// unconfirmed is ErrUnconfirmed with what is known of the reason.
func unconfirmed(st session.State) error {
	if st.Connected {
		return ErrUnconfirmed
	}
	return fmt.Errorf("%w: %w", ErrUnconfirmed, notConnected(st))
}

// Status returns the state of this moment. It does not block. Before the first Start or Register, and after Stop, there are no services.
func (p *ZooKeeperRegisterPlugin) Status() Status {
	p.mu.Lock()
	r := p.registrar
	p.mu.Unlock()
	if r == nil {
		return Status{}
	}
	conn := r.session.State()
	st := Status{
		Connected: conn.Connected, Server: conn.Server, SessionID: conn.ID, SessionTimeout: conn.Timeout, Since: conn.Since,
		Sessions: conn.Session, Connections: conn.Link, FailedRounds: conn.Rounds, LastErr: conn.Err,
	}
	rep := r.report.Load()
	orders, is := r.mail.all(), r.mail.is()
	st.Registered, st.Counters = r.pending(conn, rep) == nil, rep.counters
	ended, dead := over(rep.session, conn)
	lines := rep.byPath()
	for path, o := range orders {
		s := ServiceStatus{Name: o.name, Path: path + "/" + r.cfg.instance}
		l := lines[path]
		s.Phase, s.Since = phaseOf(o, l, ended, dead)
		if l != nil {
			if s.Phase == Yielded {
				s.Owner = l.owner
			}
			if l.words != nil {
				s.Operator = slices.Clone(l.words.words)
			}
		}
		if why := r.waitsFor(l, is, conn); s.Phase == Pending && why != nil {
			s.Err = &OpError{Op: "register", Path: s.Path, Err: why}
		} else if l != nil && l.err != nil {
			s.Err = l.err
		}
		st.Services = append(st.Services, s)
	}
	slices.SortFunc(st.Services, func(a, b ServiceStatus) int { return strings.Compare(a.Name, b.Name) })
	return st
}

// over reports whether that session is over as far as anybody here knows, and since when. ZooKeeper ends a session that it has not
// heard of for its timeout; one with a successor was over when that began, at the latest.
func over(number int64, conn session.State) (since time.Time, dead bool) {
	expiry := conn.Heard.Add(conn.Timeout)
	switch {
	case number != conn.Session:
		return conn.Since, true
	case time.Now().Before(expiry):
		return time.Time{}, false
	default:
		return expiry, true
	}
}

// phaseOf is the phase of a service, and its beginning, by what the program wants and what the loop has said: of what was wanted before, it says
// nothing. ended and dead are what over says of its session.
func phaseOf(o order, l *line, ended time.Time, dead bool) (Phase, time.Time) {
	switch answered := l != nil && l.order.no >= o.no || l != nil && o.wanted && l.order.wanted && l.order.claim >= o.claim; {
	case !answered && o.wanted:
		return Pending, o.since
	case !answered:
		return Unregistering, o.since
	case l.phase == Registered && dead:
		return Pending, ended
	default:
		return l.phase, l.since
	}
}

// String is one line for a person.
func (st Status) String() string {
	var b strings.Builder
	counts, said := make(map[Phase]int), 0
	for _, s := range st.Services {
		counts[s.Phase]++
		if len(s.Operator) > 0 {
			said++
		}
	}
	fmt.Fprintf(&b, "%d services", len(st.Services))
	for p := Pending; p <= Unregistering; p++ {
		if counts[p] > 0 {
			fmt.Fprintf(&b, ", %d %s", counts[p], p)
		}
	}
	if said > 0 {
		fmt.Fprintf(&b, ", %d with an operator's word", said)
	}
	if st.Connected {
		fmt.Fprintf(&b, "; connected to %s since %s", st.Server, st.Since.Format(time.RFC3339))
		return b.String()
	}
	fmt.Fprintf(&b, "; not connected since %s", st.Since.Format(time.RFC3339))
	if st.LastErr != nil {
		fmt.Fprintf(&b, ": %v", st.LastErr)
	}
	return b.String()
}
