package serverplugin

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// String makes an action readable in a test's table.
func (a action) String() string {
	switch a.kind {
	case create:
		return "create " + a.data
	case takeOver:
		return fmt.Sprintf("take over v%d %s", a.version, a.data)
	case set:
		return fmt.Sprintf("set v%d %s", a.version, a.data)
	case remove:
		return fmt.Sprintf("remove v%d", a.version)
	default:
	}
	s := [...]string{nothing: "-", look: "look", rest: "rest", forget: "forget"}[a.kind]
	if a.rearm {
		s += " again"
	}
	if a.check {
		s += " to check"
	}
	return s
}

const (
	killed    = 11 // a session of somebody's
	successor = 12 // another
)

func is(st standing, owner int64, version int32, data string) event {
	return event{kind: found, found: sight{
		standing: st, owner: owner, czxid: owner, mzxid: owner + int64(version), version: version, data: data, readable: true,
	}}
}

// say and claim1 are what the program wants; the driver of a script counts the Registers.
func say(data string) event {
	return event{kind: ordered, order: order{wanted: true, metadata: data}}
}

func claim1(data string) event {
	return event{kind: ordered, order: order{wanted: true, metadata: data, claim: claimNow}}
}

// script drives a node as the loop does.
type script struct {
	node   node
	now    time.Time
	no     int64
	claims int64
}

// wanted makes a node that is wanted, and claims.
func wanted(spread float64) *script {
	s := &script{node: node{spread: spread}, now: time.Unix(0, 0)}
	s.happens(claim1("a"))
	return s
}

// happens tells the node of an event. It sets what an event leaves to whoever tells it: the numbers of an order, the session.
func (s *script) happens(e event) action {
	switch {
	case e.kind == ordered:
		if s.no++; e.order.claim == claimNow {
			s.claims = s.no
		}
		e.order.no, e.order.claim, e.extra = s.no, s.claims, new(extra)
	case e.session == next:
		e.session = s.node.session + 1
	default:
		e.session = s.node.session
	}
	var a action
	s.node, a = step(s.node, e, s.now)
	return a
}

// next is the session after the one that is.
const next = -1

func secretAt(version int32) event {
	e := secret
	e.found.version = version
	return e
}

var (
	up        = event{kind: connected}
	newer     = event{kind: connected, session: next}
	down      = event{kind: disconnected}
	missed    = event{kind: disconnected, session: next}
	secret    = event{kind: found, found: sight{standing: ours, owner: 1, czxid: 1}} // may not be read
	hint      = event{kind: hinted}
	done      = event{kind: wrote}
	conflict  = event{kind: conflicted}
	isLost    = event{kind: lost}
	isRefused = event{kind: refused}
	isUnsent  = event{kind: unsent}
	drop      = event{kind: ordered}
	nobody    = event{kind: found, found: sight{standing: absent}}
	mine      = is(ours, 1, 0, "a")
	earlier   = event{kind: found, found: sight{standing: foreign, owner: killed, version: 7, data: "x", readable: true}} // made before mine was
	anew      = event{kind: found, found: sight{standing: foreign, owner: successor, ctime: time.Unix(1, 0), data: "x", readable: true}}
	wait      = event{kind: woke}
)

// TestRules tells what a node does, one rule each: what happens, and what is done about it. After a wait an hour has passed.
func TestRules(t *testing.T) {
	type then struct {
		happens event
		do      string
	}
	begin := []then{{newer, "look"}} // a node that is wanted, claims, and has just been connected
	held := append(begin[:1:1], then{nobody, "create a"}, then{done, "look"}, then{mine, "-"})
	yielded := append(held[:4:4], then{hint, "look"}, then{is(foreign, successor, 1, "b"), "-"})
	for rule, script := range map[string][]then{
		"where nothing stands, the node is created and then watched": held,
		"what stands is taken over at once": append(begin[:1:1],
			then{is(foreign, killed, 7, "x"), "take over v7 a"}, then{done, "look"}, then{is(ours, 1, 0, "a"), "-"}),
		"an earlier session's node is taken over": append(begin[:1:1], then{is(formerly, 9, 0, "a"), "take over v0 a"}, then{done, "look"}),
		"a persistent node is taken over":         append(begin[:1:1], then{is(leftBehind, 0, 0, "a"), "take over v0 a"}, then{done, "look"}),
		"a node that is ours is left alone":       append(begin[:1:1], then{mine, "look"}, then{mine, "-"}, then{hint, "look"}, then{mine, "look"}, then{mine, "-"}),
		"nothing is done without a connection":    {{down, "-"}, {hint, "-"}, {wait, "-"}, {newer, "look"}},

		"a deleted node is restored":     append(held[:4:4], then{hint, "look"}, then{nobody, "create a"}),
		"an overwritten node is written": append(held[:4:4], then{hint, "look"}, then{is(ours, 1, 1, "x"), "set v1 a"}, then{done, "look"}, then{is(ours, 1, 2, "a"), "-"}),
		"a node made persistent by hand is reclaimed, without a claim": append(held[:4:4],
			then{hint, "look"}, then{is(leftBehind, 0, 0, "a"), "take over v0 a"}),
		"a predecessor's node, from a backup, is taken over without a claim": append(held[:4:4],
			then{newer, "look"}, then{earlier, "take over v7 a"}, then{isLost, "look"}, then{earlier, "take over v7 a"}, then{done, "look"}),
		"but not from a successor who was faster": append(held[:4:4], then{newer, "look"}, then{earlier, "take over v7 a"}, then{conflict, "look"},
			then{is(foreign, successor, 0, "b"), "-"}),
		"nor by who had yielded: it is the successor's":             append(yielded[:6:6], then{hint, "look"}, then{earlier, "-"}),
		"nor where ZooKeeper is a new one, whose zxids begin again": append(held[:4:4], then{newer, "look"}, then{anew, "look"}, then{anew, "-"}),

		"other metadata are written to the node that is ours": append(held[:4:4], then{say("b"), "set v0 b"}, then{done, "look"}, then{is(ours, 1, 1, "b"), "-"}),
		"what changed during a write is looked at after it":   append(held[:4:4], then{say("b"), "set v0 b"}, then{hint, "-"}, then{done, "look"}),
		"a hint during a look asks for another look":          append(held[:4:4], then{hint, "look"}, then{hint, "-"}, then{mine, "look"}, then{mine, "-"}),
		"a node that may not be read is written when its version is another": append(held[:4:4],
			then{hint, "look"}, then{secret, "-"}, then{hint, "look"}, then{secretAt(1), "set v1 a"}, then{done, "look"}, then{secretAt(2), "-"}),

		"after an expiry all is done again":                append(held[:4:4], then{down, "-"}, then{newer, "look"}, then{nobody, "create a"}),
		"a session that came and went unseen counts":       append(held[:4:4], then{missed, "-"}, then{up, "look"}, then{nobody, "create a"}),
		"after a reconnect in the session it is looked at": append(held[:4:4], then{down, "-"}, then{up, "look to check"}, then{mine, "-"}),
		"and restored if it is an older one, from a backup": append(held[:4:4], then{down, "-"}, then{up, "look to check"},
			then{is(ours, 1, 7, "x"), "look again"}, then{is(ours, 1, 7, "x"), "set v7 a"}),
		"after an expiry an address that somebody else has is his": append(held[:4:4], then{newer, "look"}, then{is(foreign, successor, 0, "b"), "look"},
			then{is(foreign, successor, 0, "b"), "-"}),
		"an answer from a session that is over says nothing": append(held[:4:4], then{say("b"), "set v0 b"}, then{newer, "-"}, then{done, "look"}),
		"nor does a look in a session that is over":          append(held[:4:4], then{hint, "look"}, then{newer, "-"}, then{mine, "look"}),
		"a claim that came true in a session that is over is used up": append(begin[:1:1], then{is(foreign, killed, 0, "x"), "take over v0 a"},
			then{newer, "-"}, then{done, "look"}, then{is(foreign, killed, 0, "x"), "look"}, then{is(foreign, killed, 0, "x"), "-"}),

		"the address lost is yielded":                     yielded,
		"it is not taken back while the successor has it": append(yielded[:6:6], then{wait, "look to check"}, then{is(foreign, successor, 1, "b"), "-"}, then{say("c"), "-"}),
		"it is when his node is gone":                     append(yielded[:6:6], then{hint, "look"}, then{nobody, "create a"}),
		"whoever is faster then has it":                   append(yielded[:6:6], then{hint, "look"}, then{nobody, "create a"}, then{conflict, "look"}, then{is(foreign, 13, 0, "x"), "-"}),
		"to register again claims again":                  append(yielded[:6:6], then{claim1("c"), "look"}, then{is(foreign, successor, 1, "b"), "take over v1 c"}),
		"a claim is used up by success":                   append(held[:4:4], then{hint, "look"}, then{is(foreign, successor, 1, "b"), "-"}),
		"and by what is ours already": append(held[:4:4], then{claim1("a"), "look"}, then{mine, "-"}, then{hint, "look"},
			then{is(foreign, successor, 1, "b"), "-"}),
		"a claim outlives a conflict": append(begin[:1:1], then{nobody, "create a"}, then{conflict, "look"}, then{is(foreign, killed, 0, "x"), "take over v0 a"}),
		"a claim that was lost is repeated against the same": append(begin[:1:1], then{is(foreign, killed, 0, "x"), "take over v0 a"},
			then{isLost, "look"}, then{is(foreign, killed, 0, "x"), "take over v0 a"}),
		"also when the session was lost with it": append(begin[:1:1], then{is(foreign, killed, 0, "x"), "take over v0 a"},
			then{newer, "-"}, then{isLost, "look"}, then{is(foreign, killed, 0, "x"), "take over v0 a"}),
		"whoever came after a claim that was lost is a successor": append(begin[:1:1], then{is(foreign, killed, 0, "x"), "take over v0 a"},
			then{isLost, "look"}, then{is(foreign, successor, 1, "b"), "-"}),
		"after a create that was lost too": append(begin[:1:1], then{nobody, "create a"}, then{isLost, "look"}, then{is(foreign, successor, 1, "b"), "-"}),
		"whoever has created the node himself has replaced none of ours: the create was not executed": append(begin[:1:1],
			then{nobody, "create a"}, then{isLost, "look"}, then{is(foreign, successor, 0, "b"), "take over v0 a"}),
		"in another session that says nothing: ours may have gone with its session": append(begin[:1:1],
			then{nobody, "create a"}, then{isLost, "look"}, then{newer, "-"}, then{isUnsent, "look"}, then{is(foreign, successor, 0, "b"), "look"},
			then{is(foreign, successor, 0, "b"), "-"}),
		"also when the session was lost before the create": append(begin[:1:1],
			then{nobody, "create a"}, then{newer, "-"}, then{isLost, "look"}, then{is(foreign, successor, 0, "b"), "look"}, then{is(foreign, successor, 0, "b"), "-"}),
		"a restoration that was lost gives no claim": append(held[:4:4], then{hint, "look"}, then{nobody, "create a"}, then{isLost, "look"},
			then{nobody, "create a"}, then{conflict, "-"}, then{wait, "look"}, then{is(foreign, successor, 0, "b"), "-"}),
		"a claim that was lost and came true is used up": append(begin[:1:1], then{nobody, "create a"}, then{isLost, "look"}, then{mine, "-"}),
		"a claim during a look is not used up by it: the look may be older": append(held[:4:4], then{hint, "look"}, then{claim1("a"), "-"},
			then{mine, "look"}, then{is(foreign, successor, 1, "b"), "take over v1 a"}),
		"nor by an earlier claim that comes true": append(begin[:1:1], then{nobody, "create a"}, then{claim1("b"), "-"},
			then{done, "look"}, then{is(foreign, successor, 1, "x"), "take over v1 b"}),
		"nor by one that is lost": append(begin[:1:1], then{nobody, "create a"}, then{claim1("b"), "-"},
			then{isLost, "look"}, then{is(foreign, successor, 1, "x"), "take over v1 b"}),
		"a claim that never left is repeated":                     append(begin[:1:1], then{nobody, "create a"}, then{isUnsent, "look"}, then{is(foreign, killed, 0, "x"), "take over v0 a"}),
		"in a new session it is tried at once":                    append(begin[:1:1], then{nobody, "create a"}, then{isRefused, "-"}, then{newer, "look"}),
		"and removed at once when it is unwanted":                 append(begin[:1:1], then{nobody, "create a"}, then{isRefused, "-"}, then{drop, "look"}),
		"what ZooKeeper refuses is tried again later":             append(begin[:1:1], then{nobody, "create a"}, then{isRefused, "-"}, then{wait, "look"}),
		"a second conflict in a row is not repeated at once":      append(begin[:1:1], then{nobody, "create a"}, then{conflict, "look"}, then{nobody, "create a"}, then{conflict, "-"}, then{wait, "look"}),
		"a check that finds a missed change sets the watch again": append(held[:4:4], then{wait, "look to check"}, then{is(ours, 1, 1, "a"), "look again"}, then{is(ours, 1, 1, "a"), "-"}),
		"unless that was told in the meantime": append(held[:4:4], then{wait, "look to check"}, then{hint, "-"},
			then{is(ours, 1, 1, "a"), "look"}, then{is(ours, 1, 1, "a"), "-"}),
		"another node is a change, too":                    append(yielded[:6:6], then{wait, "look to check"}, then{is(foreign, 13, 1, "b"), "look again"}),
		"a check that finds nothing new leaves it at that": append(held[:4:4], then{wait, "look to check"}, then{mine, "-"}),

		"our node is removed when it is unwanted": append(held[:4:4], then{drop, "remove v0"}, then{done, "rest"}),
		"after what is under way":                 append(begin[:1:1], then{nobody, "create a"}, then{drop, "-"}, then{done, "remove v0"}),
		"somebody else's is not":                  append(yielded[:6:6], then{drop, "rest"}),
		"a persistent one is not":                 append(held[:4:4], then{hint, "look"}, then{drop, "-"}, then{is(leftBehind, 0, 0, "x"), "rest"}),
		"nor is a predecessor's, from a backup":   append(held[:4:4], then{hint, "look"}, then{drop, "-"}, then{earlier, "rest"}),
		"an earlier session's is":                 append(held[:4:4], then{newer, "look"}, then{drop, "-"}, then{is(formerly, 1, 0, "a"), "remove v0"}),
		"a removal that meets another node looks": append(held[:4:4], then{drop, "remove v0"}, then{conflict, "look"}, then{is(foreign, successor, 1, "b"), "rest"}),
		"a removal that was lost looks":           append(held[:4:4], then{drop, "remove v0"}, then{isLost, "look"}, then{nobody, "rest"}),
		"a removal waits for the connection":      append(held[:4:4], then{down, "-"}, then{drop, "-"}, then{up, "look"}, then{mine, "remove v0"}),
		"and for the next session":                append(held[:4:4], then{down, "-"}, then{drop, "-"}, then{newer, "look"}, then{nobody, "forget"}),
		"what was removed is looked at once more after a reconnect": append(held[:4:4], then{drop, "remove v0"}, then{done, "rest"},
			then{down, "rest"}, then{up, "look"}, then{nobody, "rest"}),
		"and removed again, if a backup has brought it back": append(held[:4:4], then{drop, "remove v0"}, then{done, "rest"},
			then{down, "rest"}, then{up, "look"}, then{mine, "remove v0"}, then{done, "rest"}),
		"also where a newer process had the address":        append(yielded[:6:6], then{drop, "rest"}, then{down, "rest"}, then{up, "look"}, then{mine, "remove v0"}),
		"a new session is the end of it":                    append(held[:4:4], then{drop, "remove v0"}, then{done, "rest"}, then{newer, "look"}, then{nobody, "forget"}),
		"where nothing was written, there is nothing to do": {{drop, "forget"}},
		"wanted again, it stays":                            append(held[:4:4], then{down, "-"}, then{drop, "-"}, then{claim1("b"), "-"}, then{up, "look"}, then{mine, "set v0 b"}),
		"wanted again while it is removed, it is made anew": append(held[:4:4], then{drop, "remove v0"}, then{claim1("b"), "-"},
			then{done, "look"}, then{nobody, "create b"}),
	} {
		t.Run(rule, func(t *testing.T) {
			n := wanted(0)
			for i, s := range script {
				if s.happens.kind == woke {
					n.now = n.now.Add(time.Hour)
				}
				if a := n.happens(s.happens); a.String() != s.do {
					t.Fatalf("step %d: %q, want %q", i, a, s.do)
				}
			}
		})
	}
}

func TestARefusalIsRepeatedLaterAndLater(t *testing.T) {
	n := wanted(0.5)
	a := n.happens(newer)
	for i := range 20 {
		if a.kind != look {
			t.Fatalf("attempt %d: %v", i, a)
		}
		n.happens(isRefused)
		d, most := n.node.wake().Sub(n.now), lastRetry
		if i < 5 {
			most = min(firstRetry<<i, lastRetry)
		}
		if d != most*3/4 { // half of it, and the node's share of the other half
			t.Errorf("attempt %d: again after %v of %v", i, d, most)
		}
		n.now = n.node.wake()
		a = n.happens(wait)
	}
	inAnotherSession, after := *n, *n
	inAnotherSession.happens(newer)
	after.happens(mine)
	after.happens(mine)
	after.happens(hint)
	for after, n := range map[string]*script{"a success": &after, "a new session": &inAnotherSession} {
		n.happens(isRefused)
		n.happens(wait)
		if d := n.node.wake().Sub(n.now); d > firstRetry {
			t.Errorf("after %s the first refusal is repeated after %v", after, d)
		}
	}
}

func TestChecksAreRareAndApart(t *testing.T) {
	for _, spread := range []float64{0, 0.5, 1} {
		n := wanted(spread)
		n.happens(newer)
		n.happens(mine)
		n.happens(mine)
		if d := n.node.wake().Sub(n.now); d < 15*time.Minute || d > 18*time.Minute {
			t.Errorf("spread %v: a check after %v", spread, d)
		}
		n.happens(hint)
		n.happens(secret)
		n.happens(secret)
		if d := n.node.wake().Sub(n.now); d < time.Minute || d > 72*time.Second {
			t.Errorf("spread %v: a look at what no watch tells of after %v", spread, d)
		}
	}
}

func TestATakeoverAlwaysChangesTheVersion(t *testing.T) {
	for _, v := range []int32{0, 1, 2, 3, 4, 5, 6, 7, 1000, math.MaxInt32, math.MinInt32, -1, -2, -3} {
		seen := map[int32]bool{v: true}
		for next, i := versionAfterTakeOver(v), 0; i < 3; next, i = versionAfterTakeOver(next), i+1 {
			if seen[next] {
				t.Errorf("after version %d: %d again", v, next)
			}
			seen[next] = true
		}
	}
}
