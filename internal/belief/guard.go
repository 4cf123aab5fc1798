package belief

import (
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"
)

// guard suspects losses: it is the fold over what the registry lists.
type guard struct {
	cfg    Config
	window time.Duration
	listed []*client.KVPair      // what the registry lists, sorted by key; before its first list, what the file had
	active int                   // so many of listed have not said goodbye
	begun  bool                  // the registry has listed
	shown  func(key string) bool // what was remembered before that was in the list
	away   bool                  // the registry cannot be asked

	pending      bool      // the history of listed is not accepted yet
	pendingUntil time.Time // then it is, though instances are held still
	suspectUntil time.Time // until then every removal is held

	lost  []loss // let go within the window and not made good, oldest first: they come back as held when the share trips
	holds holds
	list  []*client.KVPair // what is shown; nil when it must be made anew
}

// loss is an instance that was let go.
type loss struct {
	pair     *client.KVPair
	at       time.Time
	fromFile bool
}

// suspect holds every removal of the window that begins now: after a reconnect, expiries trickle in one by one.
func (g *guard) suspect(now time.Time) { g.suspectUntil = now.Add(g.window) }

// setAway says whether the registry cannot be asked. While it is so, silence says nothing about an instance, since it may be this process that is
// cut off: no instance is asked, and none leaves. When the registry is back, each hold begins to be asked anew before it may end.
func (g *guard) setAway(away bool, now time.Time) {
	if g.away == away {
		return
	}
	if g.away = away; !away {
		g.holds.renew(now)
	}
}

// take takes what the registry lists now, whole, sorted by key, each once. The slice must not be changed afterwards. other says that it is of
// another history than the list before. open says that this is not known yet: those that are gone are held until the next list that is not open,
// and judged then.
func (g *guard) take(list []*client.KVPair, other, open bool, now time.Time) {
	was, first := g.listed, !g.begun
	if first {
		g.holds.resume(now) // of the process before, which the list may end
	}
	g.listed, g.begun, g.list = list, true, nil
	if g.cfg.Obey {
		return
	}
	back := g.forget(list, now)
	gone, came := g.compare(was, list, first)
	lost := len(g.lost)
	before := lost
	for _, p := range gone {
		if g.holds.of(p.Key) != nil || Inactive(p.Value) {
			continue
		}
		lost++
		if len(g.lost) < MaxHeld {
			g.lost = append(g.lost, loss{p, now, first && g.shown != nil && !g.shown(p.Key)})
		}
	}
	judged := 0
	if !open {
		judged = g.judge()
	}
	if other && len(gone)+judged > 0 {
		g.pending, g.pendingUntil = true, now.Add(g.cfg.Hold)
	}
	g.decide(before, lost+judged-before, came-back, other, open, now)
	g.shown = nil
}

// decide holds the losses that are suspected: before were known already, n are new, and came are newcomers that may make good as many.
func (g *guard) decide(before, n, came int, other, open bool, now time.Time) {
	switch {
	case open && !other:
		g.hold(g.lost[before:], true, now)
		g.lost = slices.Delete(g.lost, before, len(g.lost))
	case other, now.Before(g.suspectUntil), g.active == 0, n > 0 && g.tooMany(before+n-came):
		n := g.hold(g.lost, false, now)
		g.lost = slices.Delete(g.lost, 0, n)
	default:
		g.lost = slices.Delete(g.lost, 0, min(came, len(g.lost)))
	}
}

// tooMany reports whether it is suspicious that so many losses of the window were not made good: together with those that are held, they are more
// than the share of what there was.
func (g *guard) tooMany(lost int) bool {
	missing := max(0, lost) + g.holds.inside
	return float64(missing) > g.cfg.Share*float64(missing+g.active)
}

// hold holds instances that were lost, and returns how many. inDoubt says that it is not known whether that is right.
func (g *guard) hold(lost []loss, inDoubt bool, now time.Time) int {
	n := min(len(lost), MaxHeld-g.holds.len())
	for _, l := range lost[:n] {
		g.holds.admit(&hold{pair: l.pair, since: now, inside: !l.fromFile, inDoubt: inDoubt, index: -1}, now)
	}
	return n
}

// judge makes losses of those that are held in doubt, and returns how many.
func (g *guard) judge() (n int) {
	for _, h := range g.holds.all {
		if h.inDoubt {
			g.end(h)
			g.lost = append(g.lost, loss{h.pair, h.since, !h.inside})
			n++
		}
	}
	return n
}

// forget drops the losses that are older than the window, and those that are listed again, and returns how many of these are active.
func (g *guard) forget(list []*client.KVPair, now time.Time) (back int) {
	g.lost = slices.DeleteFunc(g.lost, func(l loss) bool {
		if now.Sub(l.at) > g.window {
			return true
		}
		i, found := slices.BinarySearchFunc(list, l.pair, ByKey)
		if found && !Inactive(list[i].Value) {
			back++
		}
		return found
	})
	g.holds.forgetAsked(now)
	return back
}

// compare returns what was listed and is not any more, and how many are active that were not there, or not active. It ends the holds of those that
// are listed, which count as there, and counts the active ones. Both lists are sorted. A pair that stands in both says nothing new and is passed
// over: an instance that was listed is not held, but by the process before at the first list.
func (g *guard) compare(was, is []*client.KVPair, first bool) (gone []*client.KVPair, came int) {
	i := 0
	for _, p := range is {
		if i < len(was) && was[i] == p && !first {
			i++
			continue
		}
		for i < len(was) && was[i].Key < p.Key {
			gone = append(gone, was[i])
			i++
		}
		there := false
		if i < len(was) && was[i].Key == p.Key {
			there = g.count(was[i], -1)
			i++
		}
		if h := g.holds.of(p.Key); h != nil {
			there = true
			g.end(h)
		}
		g.holds.listed(p.Key)
		if g.count(p, 1) && !there {
			came++
		}
	}
	gone = append(gone, was[i:]...)
	for _, p := range gone {
		g.count(p, -1)
	}
	return gone, came
}

// count counts one that comes to listed, or goes, and reports whether it is active.
func (g *guard) count(p *client.KVPair, n int) bool {
	if Inactive(p.Value) {
		return false
	}
	g.active += n
	return true
}

// end ends a hold.
func (g *guard) end(h *hold) {
	g.holds.drop(h)
	g.list = nil
}

// remember takes what was known before the first list, sorted by key. shown tells which of it was in a list already, so that it counts as known by
// this process itself.
func (g *guard) remember(servers []Server, shown func(key string) bool) {
	g.shown, g.list = shown, nil
	g.holds.clear()
	g.setListed(servers, func(Server) bool { return true })
	for _, s := range servers {
		if !s.HeldSince.IsZero() && !g.cfg.Obey && g.holds.len() < MaxHeld {
			// Held by the process before: its hold goes on, it does not begin anew.
			g.holds.put(&hold{pair: s.Pair, since: s.HeldSince, index: -1, inside: shown(s.Pair.Key)})
		}
	}
}

// recall takes what remember would have been given, sorted by key, which comes after the first list. Whoever is missing was lost before that.
func (g *guard) recall(servers []Server, other, open bool, now time.Time) {
	if g.cfg.Obey {
		return
	}
	known, before, came := make(map[string]bool), len(g.lost), g.active
	for _, l := range g.lost {
		known[l.pair.Key] = true // it has gone since
	}
	for _, s := range servers {
		i, listed := slices.BinarySearchFunc(g.listed, s.Pair, ByKey)
		switch {
		case listed && !Inactive(g.listed[i].Value):
			came--
		case listed, known[s.Pair.Key], g.holds.of(s.Pair.Key) != nil, g.holds.hasLeft(s.Pair.Key), Inactive(s.Pair.Value):
		case len(g.lost)+g.holds.len() >= MaxHeld:
		case !s.HeldSince.IsZero():
			g.holds.admit(&hold{pair: s.Pair, since: s.HeldSince, index: -1}, now)
		default:
			g.lost = append(g.lost, loss{s.Pair, now, true})
		}
	}
	g.decide(before, len(g.lost)-before, came, other, open, now)
}

// relayed takes what a process that shares the file has heard of the registry later than this one, which cannot ask it now, and what is shown for
// that reason. An instance that is not in it was let go there, and is not missed here when this process can ask again. An instance that the other
// process holds is held here, too, unless this process has asked it in vain and let it go.
func (g *guard) relayed(servers []Server, now time.Time) {
	g.lost, g.list = nil, nil
	g.setListed(servers, func(s Server) bool { return s.HeldSince.IsZero() || g.cfg.Obey })
	held := make(map[string]bool)
	for _, s := range servers {
		key := s.Pair.Key
		switch h := g.holds.of(key); {
		case s.HeldSince.IsZero() || g.cfg.Obey:
			g.holds.listed(key)
			continue
		case h != nil:
			g.holds.enter(h)
		case g.holds.len() < MaxHeld && !g.holds.hasLeft(key):
			g.holds.admit(&hold{pair: s.Pair, since: s.HeldSince, inside: true, index: -1}, now)
		}
		held[key] = true
	}
	for key, h := range g.holds.all {
		if !held[key] {
			g.end(h)
		}
	}
}

// setListed makes listed of those servers that keep says, and counts the active ones.
func (g *guard) setListed(servers []Server, keep func(Server) bool) {
	g.listed, g.active = make([]*client.KVPair, 0, len(servers)), 0
	for _, s := range servers {
		if keep(s) {
			g.listed = append(g.listed, s.Pair)
			g.count(s.Pair, 1)
		}
	}
}

// shows returns the list to show, sorted by key: what is listed, and what is held. It must not be changed.
func (g *guard) shows() []*client.KVPair {
	if g.list == nil {
		if g.list = g.listed; g.holds.inside > 0 {
			g.list = append(make([]*client.KVPair, 0, len(g.listed)+g.holds.inside), g.listed...)
			for _, h := range g.holds.all {
				if h.inside {
					g.list = append(g.list, h.pair)
				}
			}
			slices.SortFunc(g.list, ByKey)
		}
	}
	return g.list
}

// held returns every instance that is held, or waits for a first answer, in no order.
func (g *guard) held() []Server {
	held := make([]Server, 0, g.holds.len())
	for _, h := range g.holds.all {
		held = append(held, Server{h.pair, h.since})
	}
	return held
}

// probed takes the outcome of a probe of a held instance. reached says that silence proves something: the probe has reached an instance before.
func (g *guard) probed(key string, o Outcome, reached bool, now time.Time) {
	h := g.holds.of(key)
	if h == nil || !h.probing {
		return // listed again, or given up, meanwhile
	}
	changed := g.holds.answered(h, o, reached, now)
	if g.holds.endIfOver(h, !g.away, now) || changed {
		g.list = nil
	}
}

// tick lets time pass: holds end, and a history is accepted.
func (g *guard) tick(now time.Time) {
	if g.away {
		return
	}
	if g.holds.tick(now) {
		g.list = nil
	}
	if g.pending && (g.holds.len() == 0 || !now.Before(g.pendingUntil)) {
		g.pending = false
		g.holds.changes++
	}
}

// wake is when tick or asks has something to do if nothing happens before; zero when never.
func (g *guard) wake() time.Time {
	if g.away {
		return time.Time{}
	}
	at := g.holds.wake()
	if g.pending {
		at = Sooner(at, g.pendingUntil)
	}
	return at
}
