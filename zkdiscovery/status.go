package zkdiscovery

import (
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
)

// Status is the state of a Discovery for people and probes. A template's has the connection only.
type Status struct {
	Service   string
	Source    Source
	Instances int       // in the list, filtered
	Held      int       // of them kept by the guard
	Skipped   int       // children of the service path whose name is not network@address
	Watchers  int       // of this Discovery
	Revision  int64     // of this Discovery
	Zxid      int64     // of the list
	AsOf      time.Time // when ZooKeeper last confirmed the list

	Connected      bool
	Server         string        // the one that is, or was last, connected
	SessionID      int64         // of the newest session
	SessionTimeout time.Duration // negotiated
	Since          time.Time     // when Connected changed last
	Sessions       int64         // sessions so far
	Connections    int64         // connections so far
	FailedRounds   int           // through all servers, since the last connection

	CacheFile    string    // "" without a cache
	OverrideFile string    // where an operator would put one
	CacheSaved   time.Time // last successful write by this process
	CacheErr     error     // why the last write failed; nil when it did not

	LastErr   error // what ZooKeeper or the connection said last when it was not what was asked for
	LastErrAt time.Time

	Counters

	inert bool // a clone that cannot have a list: LastErr says why
}

// Counters count since the service was taken up.
type Counters struct {
	Lists      int64 // lists asked for
	Reads      int64 // instances read
	Checks     int64 // looks at rest
	Mended     int64 // changes that no watch had told of
	Saves      int64 // successful writes of the cache file
	SaveErrors int64
}

// serviceStatus is what a service knows of itself.
type serviceStatus struct {
	Counters
	Skipped    int
	CacheSaved time.Time
	CacheErr   error
	refusal    error // what ZooKeeper says instead of the list; nil when it gives it
	lastErr    error
	lastErrAt  time.Time
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

// Status returns the state of this moment. It does not block.
func (d *Discovery) Status() Status {
	conn := d.root.session.State()
	st := Status{
		Service: d.path, Watchers: d.set.Len(),
		Connected: conn.Connected, Server: conn.Server, SessionID: conn.ID, SessionTimeout: conn.Timeout, Since: conn.Since,
		Sessions: conn.Session, Connections: conn.Link, FailedRounds: conn.Rounds, LastErr: conn.Err, LastErrAt: conn.ErrAt,
	}
	d.mu.Lock()
	sv := d.service
	st.Source, st.Revision, st.Instances = d.sourceLocked(conn), d.revision, len(d.pairs)
	if d.shown != nil {
		st.Held, st.Zxid, st.AsOf = len(d.held()), d.shown.zxid, d.shown.confirmed()
	}
	d.mu.Unlock()
	if d.wrong != nil {
		st.LastErr, st.LastErrAt, st.inert = d.wrong, d.used, true
	}
	if sv == nil {
		return st
	}
	if sv.keeper != nil {
		st.CacheFile, st.OverrideFile = sv.keeper.path(), sv.keeper.overridePath()
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	st.Counters = sv.status.Counters
	st.Skipped, st.CacheSaved, st.CacheErr = sv.status.Skipped, sv.status.CacheSaved, sv.status.CacheErr
	if !sv.status.lastErrAt.Before(st.LastErrAt) {
		st.LastErr, st.LastErrAt = sv.status.lastErr, sv.status.lastErrAt
	}
	return st
}

// String is one line for a person: what the list is, where it comes from and since when.
func (st Status) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %d instances", st.Service, st.Source, st.Instances)
	if st.Held > 0 {
		fmt.Fprintf(&b, " (%d held)", st.Held)
	}
	if !st.AsOf.IsZero() {
		fmt.Fprintf(&b, ", confirmed %s", st.AsOf.Format(time.RFC3339))
	}
	switch {
	case st.inert:
		fmt.Fprintf(&b, ", for ever: %v", st.LastErr)
	case st.Connected:
		fmt.Fprintf(&b, "; connected to %s since %s", st.Server, st.Since.Format(time.RFC3339))
		if st.Source != Live && st.Source != Override && st.LastErr != nil && !st.LastErrAt.Before(st.Since) {
			fmt.Fprintf(&b, ", which does not give the list: %v", st.LastErr)
		}
	default:
		fmt.Fprintf(&b, "; not connected since %s", st.Since.Format(time.RFC3339))
		if st.LastErr != nil {
			fmt.Fprintf(&b, ": %v", st.LastErr)
		}
	}
	if st.CacheErr != nil {
		fmt.Fprintf(&b, "; cache file not written: %v", st.CacheErr)
	}
	return b.String()
}
