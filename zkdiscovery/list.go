package zkdiscovery

import (
	"cmp"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// list is an unfiltered list of instances, as one service hands it to its views. Nothing in it changes once it is handed over.
type list struct {
	generation
	pairs   []*client.KVPair // sorted by key
	held    []string
	source  Source
	asOf    time.Time
	link    int64                 // State.Link of the connection that confirmed it
	sub     *session.Subscription // what tells how far a live list has been confirmed since
	service int64                 // number of the service that made it; a later service of the same path has a higher one
	seq     int64                 // grows with every list of that service
}

// confirmed is when ZooKeeper last confirmed the list.
func (l *list) confirmed() time.Time {
	if l.source == Live {
		if at := l.sub.Proven(); at.After(l.asOf) {
			return at
		}
	}
	return l.asOf
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
	remembered := l.source == Live || l.source == Stale
	return o.source != File || !remembered || l.before(&o.generation)
}
