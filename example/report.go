package main

import (
	"slices"
	"strings"
	"time"
)

// report writes what the drill has counted, and which promises were kept.
func (n *narrator) report(o *outcome, promises []promise) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.title(n.row("Calls", 37, n.left("made", 7), n.left("failed", 6), n.left("median", 7), n.left("99 %", 7), n.left("longest", 7)))
	var all tally
	for p, t := range o.phases {
		all = all.plus(t)
		failed := n.left(count(t.failed), 6)
		if t.failed > 0 {
			failed = n.in(red, failed)
		}
		say(n.out, "  %s\n", n.row(titles[p], 35, n.left(count(t.calls), 7), failed,
			n.left(duration(t.latency(0.5)), 7), n.left(duration(t.latency(0.99)), 7), n.left(duration(t.latency(1)), 7)))
		if t.failed > 0 {
			say(n.out, "    %s\n", hang(4, n.text("the first error: %v", t.firstErr)))
		}
	}

	n.title(n.text("Time to notice"))
	changes := slices.Clone(o.changes)
	for i, who := range []string{"client", "client 2"} {
		r := o.returned[i]
		changes = append(changes, change{n.text("ZooKeeper is back: %s is live", n.text(who)), r.live, r.live > 0},
			change{n.text("ZooKeeper is back: its list is right"), r.right, r.right > 0})
	}
	for _, c := range changes {
		took := duration(c.took)
		if !c.noticed {
			took = n.text("never")
		}
		cell := n.left(took, 8)
		if !c.noticed {
			cell = n.in(red, cell)
		}
		say(n.out, "  %s%s%s\n", c.what, pad(c.what, 41), cell)
	}

	n.title(n.text("Promises"))
	broken := 0
	for _, p := range promises {
		verdict := n.in(green, n.text("pass"))
		if !p.kept {
			verdict = n.in(red, n.text("FAIL"))
			broken++
		}
		say(n.out, "  %s  %s\n", verdict, hang(8, p.text))
	}
	made, took := n.calls(all.calls, all.failed), duration(time.Since(n.start))
	if broken > 0 {
		n.title(n.text("%s in %s; %d of %d promises were broken", made, took, broken, len(promises)))
		say(n.out, "%s\n", n.text("Please report this: https://github.com/holdfast-go/holdfast/issues"))
		return
	}
	n.title(n.text("%s in %s; every promise was kept", made, took))
	say(n.out, "%s\n", n.text("Shown: calls go on without ZooKeeper. To copy: example/server, example/client"))
}

// row is a line of the table of calls: its name in a column of a width, and the cells.
func (n *narrator) row(name string, width int, calls, failed, median, most, longest string) string {
	name = n.text(name)
	return name + pad(name, width+1) + calls + " " + failed + "  " + median + "  " + most + "  " + longest
}

// left fills a cell from the left.
func (n *narrator) left(text string, width int) string {
	text = n.text(text)
	return strings.Repeat(" ", max(0, width-columns(text))) + text
}
