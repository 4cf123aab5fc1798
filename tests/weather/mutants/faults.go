package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// fault is one that is put in by hand: in each file the first text is replaced by the second.
type fault struct {
	name string
	file string
	was  string
	is   string
}

// faults are such as the library has had, in what it is today, and such as would be bad.
var faults = []fault{
	{
		"a probe that could not ask counts as silence", "internal/probe/answer.go",
		"return Outcome{CouldNotAsk, err}", "return Outcome{Silent, err}",
	},
	{
		"a clone that is let go remembers nothing", "zkdiscovery/root.go",
		"		r.memories[path] = newer(r.memories[path], m)\n", "		_ = path\n",
	},
	{
		"an era begins without a proof", "internal/belief/generation.go",
		"case l.Proof && l.Zxid < from.Zxid:", "case l.Zxid < from.Zxid:",
	},
	{
		"the file keeps everybody who was ever listed", "internal/belief/save.go",
		"rec = b.record(h.AsOf.Round(0))\n", "rec = b.record(h.AsOf.Round(0))\n	rec.Listed = append(slices.Clip(rec.Listed), s.pairs...)\n",
	},
	{
		"the window after a reconnect is like any other", "internal/belief/guard.go",
		"g.suspectUntil = now.Add(g.window)", "_ = now",
	},
	{
		"the first list of another history is obeyed", "internal/belief/guard.go",
		"case other, now.Before(g.suspectUntil), g.active == 0,", "case now.Before(g.suspectUntil),",
	},
	{
		"the guard obeys", "internal/belief/guard.go",
		"	if g.cfg.Obey {\n		return\n	}\n	back :=", "	if g.cfg.Obey || true {\n		return\n	}\n	back :=",
	},
	{
		"one silent probe is enough", "internal/belief/config.go",
		"maxFails   = 2 ", "maxFails   = 1 ",
	},
	{
		"one whose probe answered is let go when its hold is over", "internal/belief/holds.go",
		"if s.all[h.pair.Key] != h || h.answers {", "if s.all[h.pair.Key] != h {",
	},
	{
		"a list is shown before all of it is read", "zkdiscovery/internal/mirror/pass.go",
		"case known+len(p.fresh) > 0:\n		p.open = true", "case known+len(p.fresh) > 0:\n		p.open = true\n		m.show(false, false)",
	},
	{
		"what a persistent watch tells of a child is not read", "zkdiscovery/internal/mirror/lasting.go",
		"			p.dirty[name] = struct{}{}\n", "			_ = name\n",
	},
	{
		"what is read without a list confirms nothing", "zkdiscovery/internal/mirror/read.go",
		"	m.show(false, false)\n	m.Confirm(j.Asked)\n", "	_ = j\n	m.show(false, false)\n",
	},
	{
		"a new connection with a persistent watch reads nothing again", "zkdiscovery/internal/mirror/mirror.go",
		"was || m.lasting || st.Forgotten != m.forgotten", "was",
	},
	{
		"one-shot watches are forgotten on a server that has no others", "zkdiscovery/internal/session/probe.go",
		"	forgets := s.cfg.Extension.Lasting && s.abilities.of(k.target.String(), opAddWatch, time.Now()).has\n	if forgets {\n		s.state.Forgotten++\n	}\n	return forgets",
		"	return s.cfg.Extension.Lasting",
	},
	{
		"a server that refuses multiRead is asked again and again", "zkdiscovery/internal/session/probe.go",
		"		s.abilities.note(addr, op, false, time.Now())\n	case errors.Is(k.cause, errAgain):", "	case errors.Is(k.cause, errAgain):",
	},
	{
		"an older answer replaces a newer one", "zkdiscovery/internal/mirror/read.go",
		"case older && !m.pass.synced:\n			continue\n", "",
	},
	{
		"a data watch that fires tells nobody", "zkdiscovery/internal/session/hints.go",
		"			} else if h.Children[name] != Gone { // which asks for more\n				h.Children[name] = Changed\n			}", "			}",
	},
	{
		"a reconnect asks for no list", "zkdiscovery/internal/mirror/mirror.go",
		"	m.drop()\n	m.plan.connected(m.err, now)\n", "	m.liveOn = m.link\n",
	},
	{
		"a restored ensemble is dialled in vain for ever", "zkdiscovery/internal/session/session.go",
		"s.route.again(k.target.as(true))", "s.attemptFailed(k.target.String(), k.cause)",
	},
	{
		"a handshake may take half a session, however slow the link", "zkdiscovery/internal/session/limits.go",
		"handshake: grown(max(session/2, firstStep))}", "handshake: firstStep / 10}",
	},
	{
		"no pause between the rounds through the servers", "zkdiscovery/internal/session/route.go",
		"	r.failedRounds++\n	r.wait = pause(r.failedRounds)\n	return true", "	r.failedRounds++\n	return true",
	},
	{
		"what was not written is not tried again", "filecache/keeper_run.go",
		"		k.again(rec)\n		k.retry = min", "		k.retry = min",
	},
	{
		"a file that cannot be opened is not tried again", "filecache/keeper_run.go",
		"			if !k.opened {\n				k.tryOpen()\n", "			if false {\n				k.tryOpen()\n",
	},
	{
		"a file that is too old stands in the way unseen", "filecache/keeper_run.go",
		"k.cache.inTheWay()", "k.cache.Load()",
	},
	{
		"a later file is replaced by an earlier list", "filecache/save.go",
		"case !same || !s.stamp().sameVersion(old):", "case false:",
	},
	{
		"a list that is written does not take its place", "filecache/replace.go",
		"if err := c.takePlace(next); err != nil {", "if err := c.discard(next); err != nil {",
	},
	{
		"an override outlives its file", "filecache/heard.go",
		"			b.Overridden(nil)\n", "			_ = b\n",
	},
	{
		"a watcher keeps being told after it was removed", "internal/watchers/set.go",
		"	delete(s.chans, ch)\n", "",
	},
	{
		"a clone does not inherit the filter", "zkdiscovery/discovery.go",
		"	c.view.filter = &filter{keeps: d.view.filterNow()}\n", "	c.view.filter = &filter{}\n",
	},
	{
		"a registration is not made again after the session has expired", "zkdiscovery/serverplugin/step.go",
		"			n.seen.distrust()\n			n.seen.own = own{}\n", "			n.seen.own = own{}\n",
	},
	{
		"a registration is never looked at again", "zkdiscovery/serverplugin/step.go",
		"		n.seen.hints++\n		if n.doing.kind == nothing {\n			n.seen.distrust()\n		}\n", "		n.seen.hints++\n",
	},
	{
		"who has lost an address takes it back", "zkdiscovery/serverplugin/step.go",
		"		if n.turn(Yielded); w.claim == claimOpen {", "		if w.claim = claimOpen; w.claim == claimOpen {",
	},
	{
		"a clone that is let go before its first list forgets", "internal/belief/file.go",
		"		return b.file.memory\n", "		return nil\n",
	},
}

// byHand returns the faults above.
func byHand(root string) func() (mutant, bool, error) {
	i := -1
	return func() (mutant, bool, error) {
		if i++; i >= len(faults) {
			return mutant{}, false, nil
		}
		f := faults[i]
		text, err := os.ReadFile(filepath.Join(root, f.file))
		if err != nil {
			return mutant{}, false, err
		}
		faulty := strings.Replace(string(text), f.was, f.is, 1)
		if faulty == string(text) {
			return mutant{}, false, fmt.Errorf("%s: %s does not have the text %q any more", f.name, f.file, f.was)
		}
		return mutant{f.name, map[string]string{f.file: faulty}}, true, nil
	}
}
