package guard

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/smallnest/rpcx/client"
)

// The defaults of Config, and bounds that are none of the user's business.
const (
	DefaultShare    = 0.5
	DefaultHold     = 5 * time.Minute
	DefaultUnprobed = time.Minute
	DefaultWindow   = 10 * time.Second
	DefaultParallel = 8
	// MaxHeld bounds how many instances are held, and how many are remembered as lost; what is lost beyond that passes.
	MaxHeld = 10_000

	retryAfter = time.Second      // from a probe without an answer to the next
	againAfter = 10 * time.Second // from an answer to the next probe
	maxFails   = 2                // probes in a row without an answer, after which an instance is gone
	grace      = 10 * time.Second // for a hold whose end is near, or past, when it can be asked (again): it may answer
	spread     = time.Second / 2  // over which first probes are spread: every client of a service begins to probe at the same moment
)

// Config is what a Guard decides by. The zero value has the defaults.
type Config struct {
	Share    float64       // of the instances that must be lost within Window, and not made good, for suspicion, more than that: (0,1]
	Hold     time.Duration // how long an instance is held that does not answer
	Unprobed time.Duration // the same where the network cannot be probed
	Window   time.Duration // over which losses are counted
	Parallel int           // probes at once
	// Jitter returns a duration in [0, d), to spread first probes. The default spreads nothing.
	Jitter func(d time.Duration) time.Duration
	// Disabled obeys at once, whatever is listed.
	Disabled bool
}

func (c Config) withDefaults() Config {
	if c.Share == 0 {
		c.Share = DefaultShare
	}
	if c.Hold == 0 {
		c.Hold = DefaultHold
	}
	if c.Unprobed == 0 {
		c.Unprobed = DefaultUnprobed
	}
	if c.Window == 0 {
		c.Window = DefaultWindow
	}
	if c.Parallel == 0 {
		c.Parallel = DefaultParallel
	}
	if c.Jitter == nil {
		c.Jitter = func(time.Duration) time.Duration { return 0 }
	}
	return c
}

// Guard is the state of the fold. It belongs to one goroutine.
type Guard struct {
	cfg     Config
	listed  []*client.KVPair // what the registry lists, sorted by key; before its first list, what the file had
	active  int              // so many of listed have not said goodbye
	begun   bool             // the registry has listed
	shown   bool             // what the file had was in the list
	lineage string           // of listed

	away         bool      // see Away
	pending      bool      // lineage is not accepted yet
	pendingUntil time.Time // then it is, whoever is held
	suspectUntil time.Time // until then every removal is held

	lost    []loss           // let go within the window and not made good, oldest first: they come back as held when the share trips
	held    map[string]*hold // in the list, or waiting for a first answer to get there
	inside  int              // of held, those that are in the list; none before the registry has listed
	endsAt  time.Time        // no hold ends before; zero: none ends by itself
	queue   queue            // of held, those that wait for their next probe
	probing int
	asked   map[string]time.Time // the newest probe of an instance, while it keeps a new hold from asking at once

	list  []*client.KVPair // what the owner publishes; nil when it must be made anew
	holds int64            // see Holds
}

// loss is an instance that was let go.
type loss struct {
	pair     *client.KVPair
	at       time.Time
	fromFile bool
}

// New returns a Guard that knows nothing.
func New(cfg Config) *Guard {
	return &Guard{cfg: cfg.withDefaults(), held: make(map[string]*hold), asked: make(map[string]time.Time)}
}

// SetWindow changes over how long losses are counted.
func (g *Guard) SetWindow(d time.Duration) { g.cfg.Window = d }

// Suspect holds every removal of the window that begins now: after a reconnect, expiries trickle in one by one.
func (g *Guard) Suspect(now time.Time) { g.suspectUntil = now.Add(g.cfg.Window) }

// Away says whether the registry cannot be asked. While it is so, silence says nothing about an instance, since it may be this process that is
// cut off: nobody is asked, and nobody leaves. When the registry is back, whoever can be asked is asked before a hold ends.
func (g *Guard) Away(away bool, now time.Time) {
	if g.away == away {
		return
	}
	g.away = away
	if away {
		return
	}
	for _, h := range g.held {
		h.fails = 0
		h.grant(now)
	}
}

// Listed takes what the registry lists now, whole, sorted by key, each once. The slice must not be changed afterwards.
func (g *Guard) Listed(list []*client.KVPair, lineage string, now time.Time) {
	was, first := g.listed, !g.begun
	other := lineage != g.lineage
	if first {
		// Holds of the process before, which the list may end.
		for _, h := range g.held {
			g.resume(h, now)
		}
	}
	g.listed, g.lineage, g.begun, g.list = list, lineage, true, nil
	if g.cfg.Disabled {
		return
	}
	back := g.forget(list, now)
	gone, came := g.compare(was, list, first)
	if other && len(gone) > 0 {
		g.pending, g.pendingUntil = true, now.Add(g.cfg.Hold)
	}
	lost := len(g.lost)
	before := lost
	for _, p := range gone {
		if g.held[p.Key] != nil || inactive(p.Value) {
			continue
		}
		lost++
		if len(g.lost) < MaxHeld {
			g.lost = append(g.lost, loss{p, now, first && !g.shown})
		}
	}
	came -= back
	switch {
	case other, now.Before(g.suspectUntil), g.active == 0, lost > before && g.tooMany(lost-came):
		g.holdLosses(now)
	default:
		g.lost = slices.Delete(g.lost, 0, min(came, len(g.lost)))
	}
}

// tooMany reports whether it is suspicious that so many losses of the window were not made good: together with those that are held, they are more
// than the share of what there was.
func (g *Guard) tooMany(lost int) bool {
	missing := max(0, lost) + g.inside
	return float64(missing) > g.cfg.Share*float64(missing+g.active)
}

// forget drops the losses that are older than the window, and those that are listed again, and returns how many of these are active.
func (g *Guard) forget(list []*client.KVPair, now time.Time) (back int) {
	g.lost = slices.DeleteFunc(g.lost, func(l loss) bool {
		if now.Sub(l.at) > g.cfg.Window {
			return true
		}
		i, found := slices.BinarySearchFunc(list, l.pair, byKey)
		if found && !inactive(list[i].Value) {
			back++
		}
		return found
	})
	for key, at := range g.asked {
		if now.Sub(at) >= retryAfter {
			delete(g.asked, key)
		}
	}
	return back
}

// compare returns what was listed and is not any more, and how many are active that were not there, or not active. It ends the holds of those that
// are listed, who count as there, and counts the active ones. Both lists are sorted. A pair that stands in both says nothing new and is passed
// over: whoever was listed is not held, but by the process before at the first list.
func (g *Guard) compare(was, is []*client.KVPair, first bool) (gone []*client.KVPair, came int) {
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
		if h := g.held[p.Key]; h != nil {
			there = true
			g.drop(h)
		}
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
func (g *Guard) count(p *client.KVPair, n int) bool {
	if inactive(p.Value) {
		return false
	}
	g.active += n
	return true
}

// List returns the list to publish, sorted by key: what is listed, and what is held. It must not be changed.
func (g *Guard) List() []*client.KVPair {
	if g.list == nil {
		g.list = g.merge()
	}
	return g.list
}

func (g *Guard) merge() []*client.KVPair {
	if g.inside == 0 {
		return g.listed
	}
	out := make([]*client.KVPair, 0, len(g.listed)+g.inside)
	out = append(out, g.listed...)
	for _, h := range g.held {
		if h.inside {
			out = append(out, h.pair)
		}
	}
	slices.SortFunc(out, byKey)
	return out
}

// Held returns the keys of the held instances that are in the list, sorted.
func (g *Guard) Held() []string {
	if g.inside == 0 {
		return nil
	}
	keys := make([]string, 0, g.inside)
	for key, h := range g.held {
		if h.inside {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Inside is how many Held returns.
func (g *Guard) Inside() int { return g.inside }

// Listing returns what the registry lists, sorted by key. It must not be changed.
func (g *Guard) Listing() []*client.KVPair { return g.listed }

// Begun reports that the registry has listed.
func (g *Guard) Begun() bool { return g.begun }

// Holding reports whether anybody is held or waits for a first answer: while it is so, no list may replace a longer one in the file.
func (g *Guard) Holding() bool { return len(g.held) > 0 }

// Pending reports that the registry's lineage is not accepted yet.
func (g *Guard) Pending() bool { return g.pending }

// Holds grows whenever somebody begins or ceases to be held or enters the list, and when a lineage is accepted.
func (g *Guard) Holds() int64 { return g.holds }

func byKey(a, b *client.KVPair) int { return strings.Compare(a.Key, b.Key) }

// inactive reports whether an instance has said goodbye: XClient does not use it, and its going is no loss.
func inactive(metadata string) bool {
	if !strings.Contains(metadata, "inactive") {
		return false
	}
	v, err := url.ParseQuery(metadata)
	return err == nil && v.Get("state") == "inactive"
}
