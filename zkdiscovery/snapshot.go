package zkdiscovery

import (
	"strconv"
	"time"

	"github.com/smallnest/rpcx/client"
)

// Source says where a list comes from, and so how far it can be trusted.
type Source int

// The sources. Override stands above all of them; Stale begins with the disconnect.
const (
	None     Source = iota // nothing is known yet
	File                   // from the cache file, because ZooKeeper could not be asked since the start
	Override               // from the operator's override file
	Stale                  // from ZooKeeper, which cannot be asked at the moment
	Live                   // from ZooKeeper, over the connection that is up
)

var sourceNames = [...]string{"none", "file", "override", "stale", "live"}

// String is the name in lower case.
func (s Source) String() string {
	if s < 0 || int(s) >= len(sourceNames) {
		return "source(" + strconv.Itoa(int(s)) + ")"
	}
	return sourceNames[s]
}

// Snapshot is a list of instances with where it came from.
//
// Its Zxid orders the lists of one lineage. A lineage is one life of the service's path in ZooKeeper: it ends when the path is deleted, or when ZooKeeper
// is wiped or replaced. Zxids of two lineages have nothing to do with each other.
type Snapshot struct {
	Service  string          // znode path
	Servers  []client.KVPair // sorted by key, filtered, the caller's own
	Held     []string        // keys kept by the guard although ZooKeeper no longer lists them
	Source   Source
	Revision int64     // grows with every published change of this Discovery; 0: nothing has been published
	Zxid     int64     // newest transaction in it: the largest of the path's pzxid and the instances' mzxid; comparable within one lineage
	AsOf     time.Time // when ZooKeeper last confirmed it: by an answer, or by a ping while every known change was in the list
}
