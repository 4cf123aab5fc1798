package main

import (
	"fmt"
	"slices"
	"time"
)

// report writes what the drill has counted, and which promises were kept.
func (n *narrator) report(o *outcome, promises []promise) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.title("%-37s %7s %6s  %7s  %7s  %7s", "Calls", "made", "failed", "median", "99 %", "longest")
	var all tally
	for p, t := range o.phases {
		all = all.plus(t)
		failed := fmt.Sprintf("%6s", count(t.failed))
		if t.failed > 0 {
			failed = n.in(red, failed)
		}
		say(n.out, "  %-35s %7s %s  %7s  %7s  %7s\n", titles[p], count(t.calls), failed,
			duration(t.latency(0.5)), duration(t.latency(0.99)), duration(t.latency(1)))
		if t.failed > 0 {
			say(n.out, "    %s\n", hang(4, "the first error: "+t.firstErr.Error()))
		}
	}

	n.title("Time to notice")
	changes := slices.Clone(o.changes)
	for i, who := range []string{"client", "client 2"} {
		r := o.returned[i]
		changes = append(changes, change{"ZooKeeper is back: " + who + " is live", r.live, r.live > 0},
			change{"ZooKeeper is back: its list is right", r.right, r.right > 0})
	}
	for _, c := range changes {
		took := duration(c.took)
		if !c.noticed {
			took = n.in(red, "   never")
		}
		say(n.out, "  %-40s %8s\n", c.what, took)
	}

	n.title("Promises")
	broken := 0
	for _, p := range promises {
		verdict := n.in(green, "pass")
		if !p.kept {
			verdict = n.in(red, "FAIL")
			broken++
		}
		say(n.out, "  %s  %s\n", verdict, hang(8, p.text))
	}
	verdict := "every promise was kept"
	if broken > 0 {
		verdict = fmt.Sprintf("%d of %d promises were broken", broken, len(promises))
	}
	n.title("%s in %s; %s", calls(all.calls, all.failed), duration(time.Since(n.start)), verdict)
}
