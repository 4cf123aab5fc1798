package zkdiscovery

import (
	"cmp"
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// list is an unfiltered list of instances, as one service hands it to its views. Nothing in it changes once it is handed over.
type list struct {
	belief.Shown
	service int64     // number of the service that made it; a later service of the same path has a higher one
	seq     int64     // grows with every list of that service
	since   time.Time // when its source became what it is
}

// source says where l comes from at this moment, and since when. A list is live only over the connection that has confirmed it. Nobody keeps a list
// up to date that has lapsed: it is stale, since nobody knows when.
func (l *list) source(st session.State, lapsed bool) (s Source, since time.Time) {
	switch {
	case l.Source != belief.Live:
		s, since = Source(l.Source), l.since
	case !lapsed && st.Connected && st.Link == l.Link:
		return Live, l.since
	default:
		s, since = Stale, st.Since
	}
	if lapsed {
		since = time.Time{}
	}
	return s, since
}

// isOlderThan says whether o follows l, which may be nil. A later service's list follows an earlier one's, with one exception: a clone was let go,
// is used again during an outage, and its new service has only the file. That may be older than what the clone remembers, as [belief.Belief] has it.
func (l *list) isOlderThan(o *list) bool {
	if l == nil {
		return true
	}
	if cmp.Or(cmp.Compare(l.service, o.service), cmp.Compare(l.seq, o.seq)) >= 0 {
		return false
	}
	remembered := l.Source == belief.Live || l.Source == belief.Stale
	return o.Source != belief.File || !remembered || l.Before(o.Generation) && !o.AsOf.Before(l.Asked)
}
