package filecache

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/watchers"
)

const (
	quiet      = 500 * time.Millisecond // lists with less between them have come in a row
	mostInARow = 16                     // of these are remembered; rpcx's channels hold 10
)

// order finds which of several lists that came in a row is the last. rpcx's own discoveries send each change on a goroutine of its own, so the later may
// arrive first. The channel does not tell; so the source is asked what it lists, when it is quiet. An answer that is none of these lists decides nothing:
// there are sources that list for ever what they began with.
type order struct {
	lists []watchers.List // that came in a row: each once, the one that came last at the end
	until time.Time       // then it is quiet
	asked time.Time       // the until of the question that is open; zero: none is
}

// came takes a list that has come by the channel.
func (o *order) came(list watchers.List, now time.Time) {
	if !now.Before(o.until) && o.asked.IsZero() {
		o.lists = nil
	}
	o.lists = slices.DeleteFunc(o.lists, func(l watchers.List) bool { return equal(l, list) })
	o.lists = append(o.lists, list)
	o.lists = o.lists[max(0, len(o.lists)-mostInARow):]
	o.until = now.Add(quiet)
}

// ask reports whether the source is to be asked now. If it is not yet quiet, wake says when it will be.
func (o *order) ask(now time.Time) (is bool, wake time.Time) {
	switch {
	case len(o.lists) < 2 || !o.asked.IsZero():
		return false, time.Time{}
	case now.Before(o.until):
		return false, o.until
	}
	o.asked = o.until
	return true, time.Time{}
}

// answered takes what the source lists, nil if it could not be asked, and reports whether that is the last of the lists that came. When another has come
// since it was asked, it will be asked again.
func (o *order) answered(list watchers.List) (isLast bool) {
	overtaken := !o.asked.Equal(o.until)
	o.asked = time.Time{}
	if overtaken {
		return false
	}
	isLast = list != nil && slices.ContainsFunc(o.lists, func(l watchers.List) bool { return equal(l, list) })
	o.lists = nil
	return isLast
}
