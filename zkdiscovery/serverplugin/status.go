package serverplugin

import (
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
	Err   error     // what ZooKeeper refused last; nil when it does what is asked of it
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

// Registered reports whether every service that is to be registered is: what its last Register asked for is done, and its node exists and belongs
// to this process's session, which cannot have expired by what is known here. It is false while there is nothing to register, and after Drain
// and Stop. It does not block: a readiness probe may ask it.
func (p *ZooKeeperRegisterPlugin) Registered() bool {
	p.mu.Lock()
	r := p.registrar
	p.mu.Unlock()
	if r == nil {
		return false
	}
	st := r.session.State()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending(st) == nil
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
		st, moved := r.session.Changed()
		r.mu.Lock()
		changed, pending := r.changed, r.pending(st)
		r.mu.Unlock()
		if pending == nil {
			return nil
		}
		select {
		case <-changed:
		case <-moved:
		case <-r.ctx.Done():
			return ErrStopped
		case <-ctx.Done():
			pending.Err = fmt.Errorf("%w: %w", ctx.Err(), pending.Err)
			return pending
		}
	}
}

// pending is why not everything is registered, with the session in that state; nil when it is. The caller holds mu.
func (r *registrar) pending(st session.State) *OpError {
	err := &OpError{Op: "register", Path: r.cfg.base + "/", Err: errors.New("no service is to be registered")}
	if r.ctx.Err() != nil {
		err.Err = ErrStopped
		return err
	}
	for _, sv := range r.services {
		if !sv.wanted {
			continue
		}
		if why := sv.pending(st); why != nil {
			return &OpError{Op: "register", Path: sv.path + "/" + r.cfg.instance, Err: why}
		}
		err = nil
	}
	return err
}

// pending is why a service that is wanted is not registered; nil when it is. The caller holds registrar.mu.
func (sv *service) pending(st session.State) error {
	rep := &sv.report
	switch {
	case rep.phase == Yielded:
		return fmt.Errorf("%w, session %s", ErrYielded, words.Hex(rep.owner))
	case rep.phase == Registered && rep.session == st.Session && time.Now().Before(st.Heard.Add(st.Timeout)):
		return nil
	case !st.Connected:
		return notConnected(st)
	case rep.err != nil:
		return rep.err.Err
	}
	return errors.New("not yet")
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
	r.mu.Lock()
	st.Registered, st.Counters = r.pending(conn) == nil, r.counters
	for _, sv := range r.services {
		s := ServiceStatus{Name: sv.name, Path: sv.path + "/" + r.cfg.instance, Phase: sv.report.phase, Since: sv.report.since, Owner: sv.report.owner}
		if s.Phase == Registered && sv.pending(conn) != nil {
			s.Phase = Pending // it was, in a session that is over as far as anybody here knows
		}
		if sv.report.err != nil {
			s.Err = sv.report.err
		}
		st.Services = append(st.Services, s)
	}
	r.mu.Unlock()
	slices.SortFunc(st.Services, func(a, b ServiceStatus) int { return strings.Compare(a.Name, b.Name) })
	return st
}

// String is one line for a person.
func (st Status) String() string {
	var b strings.Builder
	counts := make(map[Phase]int)
	for _, s := range st.Services {
		counts[s.Phase]++
	}
	fmt.Fprintf(&b, "%d services", len(st.Services))
	for p := Pending; p <= Unregistering; p++ {
		if counts[p] > 0 {
			fmt.Fprintf(&b, ", %d %s", counts[p], p)
		}
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
