package selector

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/words"
	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// Status is the state of a Selector for people and probes.
type Status struct {
	Policy  Policy
	Live    bool           // as the function given to WithLive says; true without one
	Panic   bool           // so many servers fail that ejections are ignored
	Servers []ServerStatus // by key, the caller's own

	Retries       uint64 // second attempts and backups that were made
	RetriesDenied uint64 // those that the budget did not allow
}

// ServerStatus is the state of one server.
type ServerStatus struct {
	Key      string
	State    State
	Reason   Reason        // why it is not up
	Since    time.Time     // when State changed last; zero for one that never did
	Until    time.Time     // when it is asked again; zero when there is no such time
	Weight   int           // as its metadata says
	Zone     string        // as its metadata says
	Tag      string        // as its metadata says
	Picks    uint64        // since it is listed
	Share    float64       // of the picks of all listed servers in the last minute, 0 to 1
	InFlight int           // picks whose outcome is to come; those of an XClient that is not wrapped are not counted
	Peak     time.Duration // the latency that P2C compares: above the median, since a slow answer counts at once and a quick one slowly; 0 without a recent answer
	Ejected  int           // recent ejections: the more, the longer the next one

	// How calls have ended since it is listed, as far as rpcx tells.
	Succeeded, ServiceErrors, TransportErrors, Timeouts, DialErrors uint64
	Written                                                         uint64 // requests without an answer
	GivenUp                                                         uint64 // by the caller, or because this side closed the connection
	NotSent                                                         uint64 // refused by a plugin or a breaker, or not needed
}

// Status returns the state of this moment. It waits for the function given to WithLive, and for no other thing.
func (s *Selector) Status() Status {
	live := s.live()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		Policy: s.config.policy, Live: live, Servers: []ServerStatus{},
		Retries: s.retries.all.Load(), RetriesDenied: s.retries.denied.Load(),
	}
	used := make(map[*server]bool)
	for _, r := range s.rosters {
		t := r.table.Load()
		st.Panic = st.Panic || t.panic
		for _, srv := range t.pool.servers {
			used[srv] = true
		}
	}
	now, picks := s.now(), uint64(0)
	for _, srv := range s.servers {
		if srv.known.lists == 0 {
			continue
		}
		h, n := srv.known.health, srv.recent.Sum(now, lately)
		count := func(o health.Outcome) uint64 { return srv.outcomes[o].Load() }
		one := ServerStatus{
			Key: srv.key, State: State(h.State), Reason: Reason(h.Why), Since: s.time(h.Since), Until: s.time(h.Until),
			Weight: int(srv.known.traits.weight), Zone: srv.known.traits.zone, Tag: srv.known.traits.tag,
			Picks: srv.picks.Load(), Share: float64(n), InFlight: int(srv.load.InFlight.Load()), Peak: time.Duration(srv.load.Latency(now)),
			Ejected: h.Ejections, Succeeded: count(health.Answered), ServiceErrors: count(health.Refused),
			TransportErrors: count(health.Broken), Timeouts: count(health.Late), DialErrors: count(health.Undialled),
			Written: count(health.Written), GivenUp: count(health.GivenUp), NotSent: count(health.NotSent),
		}
		switch {
		case !used[srv] && one.Weight == 0:
			one.State = Drained
		case !used[srv]:
			one.State = Spare
		case s.closed:
			one.State = Up
		}
		if !used[srv] || s.closed {
			one.Reason, one.Since, one.Until = NoReason, time.Time{}, time.Time{}
		}
		picks += n
		st.Servers = append(st.Servers, one)
	}
	for i := range st.Servers {
		st.Servers[i].Share /= float64(max(picks, 1))
	}
	slices.SortFunc(st.Servers, func(a, b ServerStatus) int { return strings.Compare(a.Key, b.Key) })
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
		fmt.Fprintf(&b, "\n%-28s %-8v %5.1f%% of the last minute's picks, %d in flight, peak %v", s.Key, s.State, 100*s.Share, s.InFlight, s.Peak.Round(time.Microsecond))
		if s.Reason != NoReason {
			fmt.Fprintf(&b, ", %v", s.Reason)
		}
		if !s.Until.IsZero() {
			fmt.Fprintf(&b, " until %s", s.Until.Format(time.TimeOnly))
		}
	}
	return b.String()
}

// MarshalJSON returns the fields of Status in their order, for a page or a monitor. A key is the field's name with a small first letter. These
// keys stay as they are; later versions may add some. It is not meant to be read back into a Status.
func (st Status) MarshalJSON() ([]byte, error) { return words.JSON(st) }

// MarshalJSON returns the fields of ServerStatus as that of Status does: "inFlight", "dialErrors". State and reason are words. A time that is zero
// is left out. The peak is a number of seconds, "peakSeconds".
func (st ServerStatus) MarshalJSON() ([]byte, error) { return words.JSON(st) }

// State is how far a server is trusted.
type State uint8

const (
	Fresh   State = iota // a newcomer, or a server whose connection broke: it is asked in the background before a call goes there
	Up                   // used
	Aside                // it could not be connected: asked again in the background, after growing pauses
	Ejected              // calls failed: not used for a while, then asked in the background
	Trial                // it answers probes again, or has none: one call at a time tries it
	Drained              // weight 0, or state=inactive: not used while others have a weight
	Spare                // outside the subset
)

var stateNames = []string{"fresh", "up", "aside", "ejected", "trial", "drained", "spare"}

// String is the name in lower case.
func (s State) String() string { return words.Name(stateNames, "State", s) }

// MarshalText returns the name in lower case.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText sets the state that text names. An unknown name is an error.
func (s *State) UnmarshalText(text []byte) error { return words.Parse(stateNames, "state", text, s) }

// Reason is why a server is not up.
type Reason uint8

const (
	NoReason        Reason = iota
	DialFailed             // a call could not connect
	NoAnswer               // a probe in the background got no answer
	CallsFailed            // calls failed one after the other
	Outlying               // far more of its calls failed than of the others'
	ConnectionBroke        // a connection has just ended: it is asked whether it is still there
)

var reasonNames = []string{"", "dial failed", "no answer", "calls failed", "success rate far below the others'", "connection broke"}

// String is the reason in words, "" for NoReason.
func (r Reason) String() string { return words.Name(reasonNames, "Reason", r) }

// MarshalText returns the reason in words, "" for NoReason.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText sets the reason that text gives. Other words are an error.
func (r *Reason) UnmarshalText(text []byte) error { return words.Parse(reasonNames, "reason", text, r) }
