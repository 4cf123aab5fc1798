package serverplugin

import (
	"testing"
	"time"
)

// TestTenSituations plays this table, row by row: a node as it is known, what happens, and what is known and done then.
//
//  1. somebody has deleted the node                            it is created, with the operator's word
//  2. an operator has written a key of his                     it is a word; a write answers
//  3. somebody has written something else                      it is restored
//  4. an older state of the node stands there, from a backup   it is nobody's word, and restored
//  5. a newer process has the address                          it yields
//  6. the same, and the program has registered again           it takes over
//  7. the session is a new one                                 nothing that is known counts: it looks
//  8. the connection is back, in the session                   it looks, since a backup looks unchanged to a watch
//  9. the program has registered while a look was under way    the answer is older than that: it looks once more
//  10. a backup has brought an unregistered node back           it is removed
func TestTenSituations(t *testing.T) {
	held := func(change func(n *node)) node { // registered, at rest
		n := node{session: 1, connected: true, touched: 1, phase: Registered, once: true}
		n.wish = wish{
			order: order{no: 1, claim: 1, wanted: true, metadata: "weight=3"}, extra: new(extra), data: "weight=3",
			keys: []string{"state", "weight"},
		}
		n.seen = seen{standing: ours, owner: 1, czxid: 10, version: 0, said: "weight=3", heard: true, followed: true, checkAt: time.Unix(1000, 0)}
		n.seen.own = own{texts: []string{"weight=3"}, czxid: 10, version: 0, mzxid: 10}
		if change != nil {
			change(&n)
		}
		return n
	}
	looking := func(change func(n *node)) node { // the same, with a look under way
		return held(func(n *node) {
			n.seen.distrust()
			if change != nil {
				change(n)
			}
			n.doing.begin(action{kind: look}, n)
		})
	}
	here := func(change func(f *sight)) event {
		f := sight{standing: ours, owner: 1, czxid: 10, mzxid: 11, version: 1, data: "weight=3", readable: true}
		change(&f)
		return event{kind: found, found: f}
	}
	unwanted := func(n *node) { n.wish.order.wanted, n.phase = false, Unregistering }
	again := looking(nil)
	again.wish.order.no, again.wish.order.claim = 2, 2
	for _, tc := range []struct {
		situation string
		node      node
		happens   event
		do        string
		phase     Phase
		words     int
	}{
		{"1. somebody has deleted the node", looking(nil), nobody, "create weight=3", Pending, 0},
		{"2. an operator has written a key of his", looking(nil), here(func(f *sight) { f.data = "weight=9" }), "set v1 weight=9", Registered, 1},
		{"3. somebody has written something else", looking(nil), here(func(f *sight) { f.data = "weight=3&x=y" }), "set v1 weight=3", Registered, 0},
		{
			"4. an older state of the node, from a backup", looking(func(n *node) { n.seen.own.version, n.seen.own.mzxid = 5, 50 }),
			here(func(f *sight) { f.data = "weight=1" }), "set v1 weight=3", Registered, 0,
		},
		{
			"5. a newer process has the address", looking(nil),
			here(func(f *sight) { f.standing, f.owner, f.czxid = foreign, successor, 12 }), "-", Yielded, 0,
		},
		{
			"6. the same, and the program has registered again", looking(func(n *node) { n.wish.claim = claimOpen }),
			here(func(f *sight) { f.standing, f.owner, f.czxid = foreign, successor, 12 }), "take over v1 weight=3", Pending, 0,
		},
		{"7. the session is a new one", held(nil), event{kind: connected, session: 2}, "look", Pending, 0},
		{"8. the connection is back, in the session", held(func(n *node) { n.connected = false }), event{kind: connected, session: 1}, "look to check", Registered, 0},
		{
			"9. the program has registered while a look was under way", again,
			here(func(f *sight) { f.standing, f.owner, f.czxid = foreign, successor, 12 }), "look", Pending, 0,
		},
		{"10. a backup has brought an unregistered node back", looking(unwanted), here(func(*sight) {}), "remove v1", Unregistering, 0},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			n, a := step(tc.node, tc.happens, time.Unix(0, 0))
			words := 0
			if n.wish.words != nil {
				words = len(n.wish.words.words)
			}
			if a.String() != tc.do || n.phase != tc.phase || words != tc.words {
				t.Errorf("does %q, is %s, with %d words; want %q, %s, %d", a, n.phase, words, tc.do, tc.phase, tc.words)
			}
		})
	}
}
