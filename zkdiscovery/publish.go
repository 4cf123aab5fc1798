package zkdiscovery

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
)

// publish hands the list to the views when it is time, settles what New waits for, and returns when to come back if it is not.
func (lp *loop) publish(now time.Time) (wake time.Time) {
	p, v := &lp.published, lp.belief.Version()
	if lp.current == nil && lp.belief.IsAtALoss() {
		lp.settle(lp.file.Err)
		return time.Time{}
	}
	if due, wake := p.pace.Due(v, now); !due {
		return wake
	}
	edited := p.pace.Edited(v)
	lp.rest(0) // until all views show it, which takes as long as their filters do
	was, l := lp.current, &list{Shown: lp.belief.Shown()}
	switch {
	case l.Source != belief.None:
	case was == nil:
		p.pace.Delivered(v, false, now)
		return time.Time{}
	default:
		// An override is gone and nothing else is known. Its list is still the best there is, but nobody stands by it any more.
		l.Pairs, l.AsOf = was.Pairs, was.AsOf
	}
	p.lists++
	p.pace.Delivered(v, was == nil || !equalPairs(was.Pairs, l.Pairs), now)
	if was == nil || was.Source != l.Source {
		p.since = now
	}
	l.service, l.seq, l.since = lp.number, p.lists, p.since
	lp.mu.Lock()
	lp.current = l
	lp.mu.Unlock()
	if edited {
		lp.root.changes.add(changesFrom(was, l, lp.path, now))
	}
	for _, v := range lp.viewsNow() {
		v.deliver(lp.ctx, l)
	}
	lp.settle(nil)
	return time.Time{}
}
