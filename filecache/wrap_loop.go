package filecache

import (
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/drive"
	"github.com/holdfast-go/holdfast/internal/logs"
	"github.com/holdfast-go/holdfast/internal/watchers"
)

// wrapLoop is the goroutine of a wrapped discovery, and what it owns. It tells the belief what the source says and what the keeper has found, and
// shows, saves, probes and logs what comes of it.
//
// The source has no zxids and the clock steps, so the lists that it says are numbered: each has a number above those of all lists before it, and above
// that of the file. An example. P1 has saved its list number 7, and ends. P2 starts, reads 7, and its source says a list: that is number 8.
type wrapLoop struct {
	*fileBacked
	belief  *belief.Belief
	driver  *drive.Driver
	answers chan func(now time.Time) // a probe sends what to do with its outcome; run receives
	by      time.Time                // until then the first list waits for the file, and the one that has started f for a list
	updates chan watchers.List       // while the source's come; nil: none do

	file      Heard
	answered  bool           // there was an attempt to have a source
	said      belief.Listing // by the source, last; with an AsOf that is not zero if there was one
	order     order          // of what it has said
	number    int64          // the highest of all lists
	contested bool           // another process has saved another list since

	pace      drive.Pace
	source    belief.Source // of what is shown
	override  *Snapshot     // that is shown; nil: none is
	isSettled bool
}

func newWrapLoop(f *fileBacked) *wrapLoop {
	guard := f.cache.config.guard.drive()
	lp := &wrapLoop{
		fileBacked: f, belief: belief.New(guard.Config(f.cache.config.noGuard)), answers: make(chan func(time.Time)), by: time.Now().Add(silent),
	}
	lp.driver = drive.New(lp.belief, guard, lp.answers, f.trials, f.log)
	return lp
}

// run is the goroutine. It ends with f's context.
func (lp *wrapLoop) run() {
	defer lp.driver.Wait()
	defer func() { _ = lp.keeper.Close() }() // it has logged what there is to say
	defer lp.settle()
	wake := time.NewTimer(silent)
	defer wake.Stop()
	for {
		select {
		case <-lp.ctx.Done():
			lp.keeper.SaveLast(lp.belief, time.Now())
			return
		case <-wake.C:
		case answer := <-lp.answers:
			answer(time.Now())
		case o := <-lp.upstream.outcomes:
			lp.answered, lp.updates = true, o.updates
			if len(o.list) > 0 { // silence is not news
				lp.hear(o.list, time.Now())
			}
		case list, ok := <-lp.updates:
			if !ok {
				lp.updates = nil // its owner has closed it: nothing more will come
				lp.log.Warn("the wrapped discovery has closed its channel: the list stays as it is")
				continue
			}
			lp.receive(copyOf(list), time.Now())
		case list := <-lp.upstream.answers:
			if lp.order.answered(list) && !equal(list, lp.said.Pairs) {
				lp.hear(list, time.Now())
			}
		case n := <-lp.keeper.News():
			lp.takeFile(n, time.Now())
		}
		if at := lp.act(time.Now()); at.IsZero() {
			wake.Stop()
		} else {
			wake.Reset(time.Until(at))
		}
		logs.Flush(lp.log)
	}
}

// receive takes a list that has come by the source's channel.
func (lp *wrapLoop) receive(list watchers.List, now time.Time) {
	lp.order.came(list, now)
	lp.hear(list, now)
}

// hear takes a list of the source's. One that only repeats the last confirms it, and keeps its number, unless another process has saved another list
// since, or a higher number: the newest is what was said last.
func (lp *wrapLoop) hear(list watchers.List, now time.Time) {
	repeated := lp.hasSaid() && equal(list, lp.said.Pairs)
	if !repeated {
		lp.said.Pairs = list
		lp.said.Edits++
	}
	lp.said.AsOf = now
	if repeated && lp.isTold() && !lp.contested && !lp.belief.Doubting() {
		lp.belief.Listed(lp.said, now)
		return
	}
	lp.tell(now)
	if repeated {
		lp.belief.SaveAgain()
	}
}

func (lp *wrapLoop) hasSaid() bool { return !lp.said.AsOf.IsZero() }

// tell tells the belief what the source has said last, as the newest list of all. The first waits a little for the file, which is the guard's memory.
func (lp *wrapLoop) tell(now time.Time) {
	if !lp.file.Known && now.Before(lp.by) {
		return
	}
	lp.number++
	lp.said.Zxid, lp.said.Synced, lp.said.Doubt = lp.number, true, lp.belief.Doubts()
	lp.contested = false
	lp.belief.Live(1, 0, now)
	lp.belief.Listed(lp.said, now)
	lp.pace.Hurry()
}

// isTold reports whether the belief was told what the source has said.
func (lp *wrapLoop) isTold() bool { return lp.said.Zxid > 0 }

// takeFile takes what the keeper has found in the file.
//
// A save of ours may be refused because another process has saved a list with a number that is not lower. If its source has said that before ours said
// its own, ours gets a higher number; so it does where a list that was heard before ours has taken the place of ours, with a number that counted lists which
// were never written. A time in the future says nothing. Otherwise theirs stays, until our source says something again.
func (lp *wrapLoop) takeFile(n News, now time.Time) {
	isLater := n.File != nil && isBetween(n.File.AsOf, lp.said.AsOf, now)
	n.InTheWay = n.InTheWay && !isLater
	lp.file.Take(n, lp.belief, now)
	if n.Err != nil && !absent(n.Err) {
		lp.log.Warn("no list from the file", "error", n.Err)
	}
	if n.File != nil {
		lp.number = max(lp.number, n.File.Zxid)
		lp.contested = lp.isTold() && !lists(n.File, lp.said.Pairs)
	}
	if isEarlier := n.File != nil && isBetween(lp.said.AsOf, n.File.AsOf, now); n.InTheWay || lp.contested && isEarlier {
		lp.tell(now)
	}
}

// isBetween reports whether at is later than before, and not in the future.
func isBetween(at, before, now time.Time) bool { return at.After(before) && !at.After(now) }

// refused is takeFile for the last time: run does nothing but wait for the keeper, which calls it.
func (lp *wrapLoop) refused(n News) {
	now := time.Now()
	lp.takeFile(n, now)
	lp.keeper.SaveLast(lp.belief, now)
}

// lists reports whether s lists pairs, beside those that are held.
func lists(s *Snapshot, pairs watchers.List) bool {
	listed := make(watchers.List, 0, len(s.Servers))
	for _, server := range s.Servers {
		if server.HeldSince.IsZero() {
			listed = append(listed, &client.KVPair{Key: server.Key, Value: server.Value})
		}
	}
	return equal(listed, pairs)
}

// act does what is to be done now, and returns when to come back if nothing happens before; zero when never.
func (lp *wrapLoop) act(now time.Time) (wake time.Time) {
	isLate := !now.Before(lp.by)
	switch {
	case lp.isTold():
	case lp.hasSaid():
		lp.tell(now)
	case isLate || lp.answered:
		lp.belief.MayServe()
	}
	lp.belief.Tick(now)
	lp.driver.Ask(lp.ctx, now)
	lp.driver.Report(now)
	ask, quietAt := lp.order.ask(now)
	if ask {
		lp.upstream.ask(lp.ctx)
	}
	later := lp.show(now)
	wake = belief.Sooner(belief.Sooner(lp.belief.Wake(), later), quietAt)
	wake = belief.Sooner(wake, lp.keeper.SaveFrom(lp.belief, now))
	if isLate || lp.answered && lp.file.Known && later.IsZero() {
		lp.settle()
	} else {
		wake = belief.Sooner(wake, lp.by)
	}
	return wake
}

// settle ends the wait of the one that has started f.
func (lp *wrapLoop) settle() {
	if !lp.isSettled {
		lp.isSettled = true
		close(lp.settled)
	}
}

// show lists what is believed, when it is time, and returns when to come back if it is not.
func (lp *wrapLoop) show(now time.Time) (wake time.Time) {
	v := lp.belief.Version()
	due, wake := lp.pace.Due(v, now)
	if !due {
		return wake
	}
	s := lp.belief.Shown()
	lp.logSource(s)
	is := s.Source != belief.None // otherwise an override is gone and nothing else is known: its list is still the best there is
	if is {
		lp.shown.setList(s.Pairs)
	}
	lp.pace.Delivered(v, is, now)
	return time.Time{}
}

// logSource says when the list comes from somewhere else.
func (lp *wrapLoop) logSource(s belief.Shown) {
	was, override := lp.source, lp.override
	if lp.source, lp.override = s.Source, lp.file.Override; lp.source == was && lp.override == override {
		return
	}
	if was == belief.Override && s.Source != was {
		lp.log.Warn("the override is gone", "servers", len(s.Pairs))
	}
	switch s.Source {
	case belief.File:
		lp.log.Info("the list is the file's until the wrapped discovery has one", "path", lp.file.Path, "servers", len(s.Pairs), "as_of", s.AsOf)
	case belief.Override:
		lp.log.Warn("an operator's override is in force", "path", lp.file.Override.Path, "servers", len(s.Pairs))
	case belief.None, belief.Stale, belief.Live:
	}
}
