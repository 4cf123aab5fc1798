package belief

import (
	"maps"
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// Outcome is what a probe has found.
type Outcome = probe.Outcome

// hold is an instance that the registry does not list.
type hold struct {
	pair    *client.KVPair
	since   time.Time
	end     time.Time     // when it goes if it does not answer
	askable time.Time     // since when this process might have asked it, without a break
	inside  bool          // in the list; otherwise only the file knew it, and it gets there when it answers
	answers bool          // a probe did, and not two in a row since did not: it has no end
	mute    bool          // its network has no probe
	inDoubt bool          // see guard.take
	fails   int           // probes in a row without an answer
	asked   int           // probes since askable that were answered, or not
	err     error         // of the last one
	again   time.Duration // from an answer, or a probe that could not ask, to the next
	probing bool
	due     time.Time // of the next probe
	index   int       // in the queue; -1: not there
}

// over is when the hold ends if nothing happens before: not before it was asked twice, unless that has not been possible for an hour.
func (h *hold) over() time.Time {
	if until := h.askable.Add(maxUnasked); !h.mute && h.asked < minAsked && until.After(h.end) {
		return until
	}
	return h.end
}

// Gone is an instance that was let go.
type Gone struct {
	Key string
	Err error // of the last probe; nil where there was none
}

// holds are all of them.
type holds struct {
	cfg      Config
	all      map[string]*hold     // in the list, or waiting for a first answer to get there
	inside   int                  // so many are in the list; none before the registry has listed
	endsAt   time.Time            // no hold ends before; zero: none ends by itself
	queue    queue                // those that wait for their next probe
	asked    map[string]time.Time // the newest probe of an instance, while it keeps a new hold from asking at once
	outcomes int64                // of probes, so far
	changes  int64                // grows whenever an instance begins or ceases to be held or enters the list, and when a history is accepted
	gone     []Gone               // let go since the owner looked last
	left     map[string]struct{}  // let go and not listed since: another process may hold them still
}

func newHolds(cfg Config) holds {
	return holds{cfg: cfg, all: make(map[string]*hold), asked: make(map[string]time.Time), left: make(map[string]struct{})}
}

func (s *holds) len() int { return len(s.all) }

func (s *holds) of(key string) *hold { return s.all[key] }

func (s *holds) clear() {
	clear(s.all)
	s.queue, s.inside = nil, 0
}

// put takes a hold of the process before, which waits for the first list.
func (s *holds) put(h *hold) { s.all[h.pair.Key] = h }

// resume begins to watch over the holds of the process before.
func (s *holds) resume(now time.Time) {
	for _, h := range s.all {
		s.admit(h, now)
	}
}

// admit begins to watch over a hold: it counts, and is probed. The owner makes the list anew.
func (s *holds) admit(h *hold, now time.Time) {
	s.all[h.pair.Key] = h
	s.changes++
	if h.inside {
		s.inside++
	}
	if h.since.After(now) {
		h.since = now // by the clock of another process, which is ahead
	}
	h.askable, h.end = now, h.since.Add(s.cfg.Hold)
	s.endsAt = Sooner(s.endsAt, h.end)
	h.due = now
	if h.inside {
		h.due = now.Add(s.cfg.jitter(spread))
	}
	if at, ok := s.asked[h.pair.Key]; ok && h.due.Before(at.Add(retryAfter)) {
		h.due = at.Add(retryAfter) // listed in between: a list that flaps makes no more probes than one that does not
	}
	s.queue.push(h)
}

// drop ends a hold.
func (s *holds) drop(h *hold) {
	delete(s.all, h.pair.Key)
	s.queue.remove(h)
	s.changes++
	if h.inside {
		s.inside--
	}
}

// letGo ends a hold because the instance is gone.
func (s *holds) letGo(h *hold) {
	s.drop(h)
	if h.inside {
		s.gone = append(s.gone, Gone{h.pair.Key, h.err})
	}
	if len(s.left) < MaxHeld {
		s.left[h.pair.Key] = struct{}{}
	}
}

func (s *holds) hasLeft(key string) bool {
	_, left := s.left[key]
	return left
}

// listed forgets that an instance was let go.
func (s *holds) listed(key string) {
	if len(s.left) > 0 {
		delete(s.left, key)
	}
}

// enter puts a held instance into the list.
func (s *holds) enter(h *hold) (changed bool) {
	if h.inside {
		return false
	}
	h.inside = true
	s.inside++
	s.changes++
	return true
}

// renew is for when the registry can be asked again: each held instance is asked before its hold ends.
func (s *holds) renew(now time.Time) {
	for _, h := range s.all {
		h.fails, h.asked, h.askable = 0, 0, now
		if h.mute { // at that time
			h.mute, h.due = false, now.Add(s.cfg.jitter(spread))
			s.queue.push(h)
		}
	}
}

// answered takes the outcome of a probe of h, and reports whether the list has changed. counts says that silence proves something.
func (s *holds) answered(h *hold, o Outcome, counts bool, now time.Time) (changed bool) {
	h.probing, h.err = false, o.Err
	s.outcomes++
	switch o.Answer {
	case probe.Alive:
		h.asked++
		h.answers, h.fails = true, 0
		h.again = min(max(2*h.again, againAfter), maxAgain)
		h.due = now.Add(s.cfg.around(h.again))
		changed = s.enter(h)
	case probe.Silent:
		h.asked++
		h.again = 0
		if counts {
			h.fails++
		} else {
			s.endUnproven(h)
		}
		if h.fails >= maxFails {
			s.letGo(h)
			return true
		}
		h.due = now.Add(s.retry(h, counts))
	case probe.CouldNotAsk:
		h.again = min(max(2*h.again, retryAfter), maxRetry)
		h.due = now.Add(s.cfg.around(h.again))
	case probe.Unaskable:
		h.answers, h.mute = false, true
		h.end = h.since.Add(s.cfg.Unprobed)
	}
	if !h.mute {
		s.queue.push(h)
	}
	return changed
}

// endUnproven lets a hold end as that of an instance which cannot be asked: its silence proves nothing.
func (s *holds) endUnproven(h *hold) {
	if end := h.since.Add(s.cfg.Unprobed); !h.answers && h.asked >= minAsked && end.Before(h.end) {
		h.end = end
	}
}

func (s *holds) retry(h *hold, counts bool) time.Duration {
	if counts {
		return retryAfter
	}
	return min(retryAfter<<min(h.asked-1, 4), maxRetry)
}

// Ask is an instance that is to be probed now.
type Ask struct {
	Pair   *client.KVPair
	First  bool // it has not been asked yet
	Beside bool // a Trial while others are held, which should not wait
	Trial  bool // it is listed: asked to find out whether the probe reaches an instance
}

// asks appends those that are to be probed now.
func (s *holds) asks(to []Ask, now time.Time) []Ask {
	for len(s.queue) > 0 && !now.Before(s.queue[0].due) {
		h := s.queue.pop()
		h.probing = true
		s.asked[h.pair.Key] = now
		to = append(to, Ask{Pair: h.pair, First: h.asked == 0})
	}
	return to
}

func (s *holds) forgetAsked(now time.Time) {
	maps.DeleteFunc(s.asked, func(_ string, at time.Time) bool { return now.Sub(at) >= retryAfter })
}

// endIfOver ends a hold whose time has come, if it may, and reports whether it has. So a mass of them ends one by one, each with a probe, without a
// walk over all for each.
func (s *holds) endIfOver(h *hold, may bool, now time.Time) bool {
	if s.all[h.pair.Key] != h || h.answers {
		return false
	}
	over := h.over()
	if !may || now.Before(over) {
		s.endsAt = Sooner(s.endsAt, over)
		return false
	}
	s.letGo(h)
	return true
}

// tick ends the holds that are over, and reports whether there were any.
func (s *holds) tick(now time.Time) (changed bool) {
	if s.endsAt.IsZero() || now.Before(s.endsAt) {
		return false
	}
	s.endsAt = time.Time{}
	for _, h := range s.all {
		switch over := h.over(); {
		case h.answers:
		case now.Before(over):
			s.endsAt = Sooner(s.endsAt, over)
		default:
			s.letGo(h)
			changed = true
		}
	}
	return changed
}

func (s *holds) wake() (at time.Time) {
	if len(s.all) > 0 {
		at = s.endsAt
	}
	if len(s.queue) > 0 {
		at = Sooner(at, s.queue[0].due)
	}
	return at
}

// keys are those of the held instances that are in the list, sorted.
func (s *holds) keys() []string {
	if s.inside == 0 {
		return nil
	}
	keys := make([]string, 0, s.inside)
	for key, h := range s.all {
		if h.inside {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// takeGone returns who was let go since it was called last.
func (s *holds) takeGone() []Gone {
	gone := s.gone
	s.gone = nil
	return gone
}
