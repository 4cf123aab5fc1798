package serverplugin

import (
	"testing"
)

// TestPhases tells what a node says of itself, which WaitRegistered and Status repeat.
func TestPhases(t *testing.T) {
	type then struct {
		happens event
		phase   Phase
	}
	held := []then{{newer, Pending}, {nobody, Pending}, {done, Registered}, {mine, Registered}}
	for rule, script := range map[string][]then{
		"registered is what is written":                      held,
		"until somebody deletes it":                          append(held[:4:4], then{hint, Registered}, then{nobody, Pending}, then{done, Registered}),
		"an outage alone changes nothing":                    append(held[:4:4], then{down, Registered}, then{up, Registered}),
		"a new session does":                                 append(held[:4:4], then{down, Registered}, then{newer, Pending}, then{isRefused, Pending}),
		"what was written in a session that is over is gone": append(held[:2:2], then{newer, Pending}, then{done, Pending}),
		"who has lost the address has yielded":               append(held[:4:4], then{hint, Registered}, then{is(foreign, successor, 1, "b"), Yielded}),
		"who takes it is pending until he has it":            append(held[:1:1], then{is(foreign, killed, 0, "x"), Pending}, then{done, Registered}),
		"a claim counts when it is done": append(held[:4:4], then{claim1("b"), Pending}, then{mine, Pending}, then{done, Registered},
			then{is(ours, 1, 1, "b"), Registered}),
		"what may not be read counts when it is written": append(held[:4:4], then{claim1("a"), Pending}, then{secretAt(1), Pending}, then{done, Registered},
			then{secretAt(2), Registered}),
		"metadata that change by themselves are no matter": append(held[:4:4], then{say("b"), Registered}, then{done, Registered}),
		"who unregisters is unregistering to the end": append(held[:2:2], then{claim1("b"), Pending}, then{drop, Unregistering},
			then{done, Unregistering}, then{isLost, Unregistering}, then{mine, Unregistering}, then{newer, Unregistering}),
	} {
		t.Run(rule, func(t *testing.T) {
			n := wanted(0)
			for i, s := range script {
				if n.happens(s.happens); n.node.phase != s.phase {
					t.Fatalf("step %d: %s, want %s", i, n.node.phase, s.phase)
				}
			}
		})
	}
}
