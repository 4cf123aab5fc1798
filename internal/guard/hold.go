package guard

import (
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// hold is an instance that the registry does not list.
type hold struct {
	pair    *client.KVPair
	since   time.Time
	end     time.Time // when it goes if it does not answer
	inside  bool      // in the list; otherwise only the file knew it, and it gets there when it answers
	answers bool      // a probe did, and not two in a row since did not: it has no end
	fails   int       // probes in a row without an answer
	probing bool
	asked   bool      // a probe was asked for
	due     time.Time // of the next probe
	index   int       // in the queue; -1: not there
}

// holdLosses holds everything that was lost within the window.
func (g *Guard) holdLosses(now time.Time) {
	n := min(len(g.lost), MaxHeld-len(g.held))
	for _, l := range g.lost[:n] {
		h := &hold{pair: l.pair, since: now, inside: !l.fromFile, index: -1}
		g.held[l.pair.Key] = h
		g.admit(h, now)
	}
	g.lost = slices.Delete(g.lost, 0, n)
}

// admit begins to watch over a hold: it counts, and is probed. The list is made anew for another reason.
func (g *Guard) admit(h *hold, now time.Time) {
	g.holds++
	if h.inside {
		g.inside++
	}
	h.end = h.since.Add(g.cfg.Hold)
	g.endsAt = sooner(g.endsAt, h.end)
	h.due = now
	if h.inside {
		h.due = now.Add(g.cfg.Jitter(spread))
	}
	if at, ok := g.asked[h.pair.Key]; ok && h.due.Before(at.Add(retryAfter)) {
		h.due = at.Add(retryAfter) // listed in between: a list that flaps makes no more probes than one that does not
	}
	g.queue.push(h)
}

// grant gives a hold whose end is near or past, and which could not be asked meanwhile, the time to answer, unless it cannot.
func (h *hold) grant(now time.Time) {
	canAnswer := h.probing || h.index >= 0
	if until := now.Add(grace); canAnswer && h.end.Before(until) {
		h.end = until
	}
}

// sooner is the earlier of two times, a zero one being never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// drop ends a hold.
func (g *Guard) drop(h *hold) {
	delete(g.held, h.pair.Key)
	g.queue.remove(h)
	g.list = nil
	g.holds++
	if h.inside {
		g.inside--
	}
}

// Probed takes the outcome of a probe that Probes asked for.
func (g *Guard) Probed(key string, answer probe.Answer, now time.Time) {
	g.probing--
	h := g.held[key]
	if h == nil || !h.probing {
		return // listed again, or given up, meanwhile
	}
	h.probing = false
	switch answer {
	case probe.Alive:
		h.answers, h.fails = true, 0
		h.due = now.Add(againAfter)
		if !h.inside {
			h.inside = true
			g.inside++
			g.holds++
			g.list = nil
		}
	case probe.Silent:
		if !g.away {
			h.fails++
		}
		if h.fails >= maxFails {
			g.drop(h)
			return
		}
		h.due = now.Add(retryAfter)
	case probe.Unaskable:
		h.answers, h.end = false, h.since.Add(g.cfg.Unprobed)
		g.endsAt = sooner(g.endsAt, h.end)
		return
	case probe.CouldNotAsk: // which says nothing about the instance
		h.due = now.Add(retryAfter)
	}
	g.queue.push(h)
}

// Ask is an instance that is to be probed.
type Ask struct {
	*client.KVPair
	First bool // it was not asked yet since it is held
}

// Probes returns the instances that are to be probed now, as many as may be under way at once; each must come back through Probed.
func (g *Guard) Probes(now time.Time) []Ask {
	var ask []Ask
	for !g.away && g.probing < g.cfg.Parallel && len(g.queue) > 0 && !now.Before(g.queue[0].due) {
		h := g.queue.pop()
		h.probing = true
		g.probing++
		g.asked[h.pair.Key] = now
		ask = append(ask, Ask{h.pair, !h.asked})
		h.asked = true
	}
	return ask
}

// Tick lets time pass: holds end.
func (g *Guard) Tick(now time.Time) {
	if g.away {
		return
	}
	if !g.endsAt.IsZero() && !now.Before(g.endsAt) {
		g.endsAt = time.Time{}
		for _, h := range g.held {
			switch {
			case h.answers:
			case now.Before(h.end):
				g.endsAt = sooner(g.endsAt, h.end)
			default:
				g.drop(h)
			}
		}
	}
	if g.pending && (len(g.held) == 0 || !now.Before(g.pendingUntil)) {
		g.pending = false
		g.holds++
	}
}

// Wake is when Tick and Probes have something to do if nothing happens before; zero when never.
func (g *Guard) Wake() time.Time {
	if g.away {
		return time.Time{}
	}
	var at time.Time
	if len(g.held) > 0 {
		at = g.endsAt
	}
	if len(g.queue) > 0 && g.probing < g.cfg.Parallel {
		at = sooner(at, g.queue[0].due)
	}
	if g.pending {
		at = sooner(at, g.pendingUntil)
	}
	return at
}
