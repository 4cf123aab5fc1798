package zkdiscovery

import (
	"cmp"

	"github.com/holdfast-go/holdfast/internal/belief"
)

// list is an unfiltered list of instances, as one service hands it to its views. Nothing in it changes once it is handed over.
type list struct {
	belief.Shown
	service int64 // number of the service that made it; a later service of the same path has a higher one
	seq     int64 // grows with every list of that service
}

// isOlderThan says whether o follows l, which may be nil. A later service's list follows an earlier one's, with one exception: a clone was let go,
// is used again during an outage, and its new service has only the file. That file may be older than what the clone remembers.
func (l *list) isOlderThan(o *list) bool {
	if l == nil {
		return true
	}
	if cmp.Or(cmp.Compare(l.service, o.service), cmp.Compare(l.seq, o.seq)) >= 0 {
		return false
	}
	remembered := l.Source == belief.Live || l.Source == belief.Stale
	return o.Source != belief.File || !remembered || l.Generation.Before(o.Generation)
}
