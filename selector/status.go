package selector

import (
	"fmt"
	"strings"
	"time"
)

// Status is the state of a Selector for people and probes.
type Status struct {
	Policy  Policy
	Live    bool           // as the function given to WithLive says; true without one
	Panic   bool           // so many servers fail that ejections are ignored
	Servers []ServerStatus // by key, the caller's own
}

// ServerStatus is the state of one server.
type ServerStatus struct {
	Key      string
	State    State
	Reason   Reason        // why it is not up
	Since    time.Time     // when State changed last; zero for one that never did
	Until    time.Time     // when it is asked again; zero when there is no such time
	Weight   int           // as it is used: 0 when drained
	Zone     string        // as its metadata says
	Picks    uint64        // since it is listed
	Share    float64       // of the picks of all listed servers, 0 to 1
	InFlight int           // picks whose outcome is to come; those that nobody reports on are not counted
	Latency  time.Duration // peak-EWMA; 0 when there was none
	Ejected  int           // how often lately: what the next ejection's length goes by

	// How calls ended since it is listed, as far as it was told.
	Succeeded, ServiceErrors, TransportErrors, Timeouts, DialErrors, Cancelled uint64
}

// Status returns the state of this moment. It waits for the function given to WithLive, and for no other thing.
func (s *Selector) Status() Status {
	live := s.live()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	st := Status{Policy: s.config.policy, Live: live, Panic: t.panic, Servers: make([]ServerStatus, 0, len(s.list.servers))}
	weights := make(map[*server]uint32, len(t.pool.members))
	for _, m := range t.pool.members {
		weights[m.server] = m.weight
	}
	ms := uint32(s.now() / int64(time.Millisecond))
	var picks uint64
	for _, srv := range s.list.servers {
		h := srv.health
		one := ServerStatus{
			Key: srv.key, State: h.state, Reason: h.why, Since: s.time(h.since), Until: s.time(h.until),
			Zone: srv.traits.zone, Picks: srv.picks.Load(), InFlight: int(srv.inFlight.Load()), Latency: time.Duration(srv.latency.at(ms)),
			Ejected:   h.ejections,
			Succeeded: srv.outcomes[succeeded].Load(), ServiceErrors: srv.outcomes[serviceError].Load(),
			TransportErrors: srv.outcomes[transportFailed].Load(), Timeouts: srv.outcomes[timedOut].Load(),
			DialErrors: srv.outcomes[dialFailed].Load(), Cancelled: srv.outcomes[cancelled].Load(),
		}
		if w, ok := weights[srv]; ok {
			one.Weight = int(w)
		} else {
			one.Weight, one.State = int(srv.traits.weight), Spare
			if srv.traits.weight == 0 {
				one.State = Drained
			}
			one.Reason, one.Since, one.Until = NoReason, time.Time{}, time.Time{}
		}
		picks += one.Picks
		st.Servers = append(st.Servers, one)
	}
	for i := range st.Servers {
		if picks > 0 {
			st.Servers[i].Share = float64(st.Servers[i].Picks) / float64(picks)
		}
	}
	return st
}

// String is a table for people: a line for the whole, and one for each server.
func (st Status) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v, %d servers", st.Policy, len(st.Servers))
	if !st.Live {
		b.WriteString(", list not live")
	}
	if st.Panic {
		b.WriteString(", too many fail")
	}
	for _, s := range st.Servers {
		fmt.Fprintf(&b, "\n%-28s %-8v %5.1f%% of picks, %d in flight, %v", s.Key, s.State, 100*s.Share, s.InFlight, s.Latency.Round(time.Microsecond))
		if s.Reason != NoReason {
			fmt.Fprintf(&b, ", %v", s.Reason)
		}
		if !s.Until.IsZero() {
			fmt.Fprintf(&b, " until %s", s.Until.Format(time.TimeOnly))
		}
	}
	return b.String()
}
