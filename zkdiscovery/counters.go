package zkdiscovery

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
)

// Counters count since the service was taken up.
type Counters struct {
	Lists      int64 // lists asked for
	Reads      int64 // instances read
	Checks     int64 // looks at rest: reads that no watch has asked for, to find what a watch has missed
	Mended     int64 // changes that a look at rest found and no watch had told
	Saves      int64 // successful writes of the cache file
	SaveErrors int64
}

// serviceStatus is what a service knows of itself.
type serviceStatus struct {
	Counters
	Skipped   int
	held      []belief.Held // the first of them, by key
	refusal   error         // what ZooKeeper says instead of the list; nil when it gives it
	lastErr   error
	lastErrAt time.Time
}

func (st *serviceStatus) count(j mirror.Job) {
	switch j.Kind {
	case mirror.List:
		st.Lists++
	case mirror.Read:
		st.Reads += int64(len(j.Names))
	case mirror.Check:
		st.Checks++
		st.Reads += int64(len(j.Names))
	case mirror.None:
	}
}
