package zkdiscovery

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// Status is the state of a Discovery for people and probes. A template has no list of its own; its Services have.
type Status struct {
	Service   string // znode path; a template's is the base path
	Source    Source
	Instances int       // in the list, filtered
	Held      int       // of them kept by the guard
	Skipped   int       // children of the service path whose name is not network@address
	Watchers  int       // of this Discovery
	Resuming  bool      // this clone was not used for a minute and let its mirror go; it is Stale until the list is read again
	Revision  int64     // of this Discovery
	Zxid      int64     // of the list
	AsOf      time.Time // when ZooKeeper last confirmed the list

	SourceSince time.Time // when Source became what it is; zero while the clone is let go
	HeldServers []Held    // the Held ones by key, 200 at most
	Template    bool      // this is a template's: it has no list

	Connected      bool
	Server         string        // the one that is, or was last, connected
	SessionID      int64         // of the newest session
	SessionTimeout time.Duration // negotiated
	Since          time.Time     // when Connected changed last
	Sessions       int64         // sessions so far
	Connections    int64         // connections so far
	Wire           string        // what is made use of on the server that is connected: see WithoutWireExtension
	FailedRounds   int           // through all servers, since the last connection
	MissingPath    string        // the topmost part of chroot and base path that does not exist; "" when all exist, or it is not known

	CacheFile    string    // "" without a cache
	OverrideFile string    // the override that is in force; else where an operator would put one
	CacheSaved   time.Time // last successful write by this process
	CacheErr     error     // why the last write failed; nil when it did not

	Refusal   error // what ZooKeeper says instead of the list; nil when it gives it, or cannot be asked
	LastErr   error // what ZooKeeper or the connection said last when it was not what was asked for
	LastErrAt time.Time

	Counters

	History []ConnectionEvent // of the connection, oldest first, 32 at most
	// Services are the other services that are mirrored over the connection, by path: of a template all, of a clone none. Theirs are the unfiltered
	// lists, with the watchers of all Discoveries that show them, and without History.
	Services []Status

	inert bool // a clone that cannot have a list: LastErr says why
}

// ConnectionEvent is a moment at which the connection to ZooKeeper came or went.
type ConnectionEvent struct {
	At         time.Time
	Connected  bool
	NewSession bool // with the connection a new ZooKeeper session began
	Server     string
	SessionID  int64
	Err        error // why the connection went; nil when it came
}

// Status returns the state of this moment. It does not block, and counts as a use of d, but not of the other services: see RemoveWatcher.
func (d *Discovery) Status() Status {
	v := d.used()
	conn := d.root.session.State()
	st := d.root.status(v.path, conn)
	st.Watchers, st.Template = v.watchers.Len(), d.kind == template
	for _, e := range d.root.session.History() {
		st.History = append(st.History, ConnectionEvent{
			At: e.At, Connected: e.Connected, NewSession: e.NewSession, Server: e.Server, SessionID: e.ID, Err: e.Err,
		})
	}
	if d.kind == owner || d.kind == template {
		st.Services = d.root.statuses(v.path, conn)
	}
	v.status(&st, conn)
	if d.kind == inert {
		st.LastErr, st.LastErrAt, st.inert = d.wrong, d.made, true
	}
	if sv := d.root.serviceOf(v); sv != nil {
		sv.statusOf(&st)
	}
	return st
}

// status is what all services of one connection have in common.
func (r *root) status(path string, conn session.State) Status {
	return Status{
		Service:   path,
		Connected: conn.Connected, Server: conn.Server, SessionID: conn.ID, SessionTimeout: conn.Timeout, Since: conn.Since,
		Sessions: conn.Session, Connections: conn.Link, FailedRounds: conn.Rounds, MissingPath: r.missing.now(),
		LastErr: conn.Err, LastErrAt: conn.ErrAt, Wire: wire(conn),
	}
}

// statuses are those of all services but the one at that path, sorted.
func (r *root) statuses(but string, conn session.State) []Status {
	var all []Status
	for _, sv := range r.servicesNow() {
		if sv.path == but {
			continue
		}
		st := r.status(sv.path, conn)
		sv.whole(&st, conn)
		sv.statusOf(&st)
		all = append(all, st)
	}
	return all
}

// servicesNow are the services of this moment, by path.
func (r *root) servicesNow() []*service {
	r.mu.Lock()
	all := slices.Collect(maps.Values(r.services))
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b *service) int { return strings.Compare(a.path, b.path) })
	return all
}

// whole fills in what the service's own list is, before any view's filter, and returns that; nil when there is none.
func (sv *service) whole(st *Status, conn session.State) *list {
	for _, v := range sv.viewsNow() {
		st.Watchers += v.watchers.Len()
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	l := sv.current
	if l == nil {
		return nil
	}
	st.Source, st.SourceSince = l.source(conn, false)
	st.Instances, st.Held, st.Revision, st.Zxid, st.AsOf = len(l.Pairs), len(l.Held), l.seq, l.Zxid, l.AsOf
	if l.Source == belief.Live || l.Source == belief.Stale {
		st.AsOf = laterOf(st.AsOf, sv.confirmed)
		if sv.resting != 0 && sv.resting == conn.Link {
			st.AsOf = laterOf(st.AsOf, conn.Heard)
		}
	}
	st.HeldServers = heldOf(l.Held)
	return l
}

// wire says in words what is made use of.
func wire(conn session.State) string {
	if !conn.Connected {
		return ""
	}
	return conn.Extension.String()
}

// status fills in what v shows.
func (v *view) status(st *Status, conn session.State) {
	v.mu.Lock()
	defer v.mu.Unlock()
	st.Source, st.Revision, st.Instances = v.sourceLocked(conn), v.shown.revision, len(v.shown.pairs)
	if v.shown.list == nil {
		return
	}
	_, st.SourceSince = v.shown.source(conn, v.lapsed)
	held := v.shown.heldShown()
	st.Held, st.Zxid, st.AsOf = len(held), v.shown.Zxid, v.asOf(conn)
	st.HeldServers = heldOf(held)
	st.Resuming = v.lapsed && v.service != 0 && !v.hasEnded()
}

// statusOf fills in what the service knows of itself.
func (sv *service) statusOf(st *Status) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	st.Counters, st.Skipped = sv.status.Counters, sv.status.Skipped
	describe(st.HeldServers, sv.status.held)
	if st.Connected {
		st.Refusal = sv.status.refusal
	}
	if sv.keeper != nil {
		st.setFile(sv.keeper.Status())
	}
	if !sv.status.lastErrAt.Before(st.LastErrAt) {
		st.LastErr, st.LastErrAt = sv.status.lastErr, sv.status.lastErrAt
	}
}

// setFile takes what the keeper knows of the cache file.
func (st *Status) setFile(file filecache.KeeperStatus) {
	st.CacheFile, st.OverrideFile, st.CacheSaved = file.Path, file.OverridePath, file.Saved
	st.Saves, st.SaveErrors = file.Saves, file.Failures
	switch {
	case file.Err == nil:
	case file.Path == "":
		st.CacheErr = &OpError{Op: "open the cache file of", Path: st.Service, Err: file.Err}
	default:
		st.CacheErr = &OpError{Op: "save", Path: file.Path, Err: file.Err}
	}
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
		if st.Wire != "" {
			fmt.Fprintf(&b, " (%s)", st.Wire)
		}
		if st.Source != Live && st.Source != Override && st.LastErr != nil && !st.LastErrAt.Before(st.Since) {
			fmt.Fprintf(&b, ", which does not give the list: %v", st.LastErr)
		}
	default:
		fmt.Fprintf(&b, "; not connected since %s", st.Since.Format(time.RFC3339))
		if st.LastErr != nil {
			fmt.Fprintf(&b, ": %v", st.LastErr)
		}
	}
	if st.MissingPath != "" {
		fmt.Fprintf(&b, "; %s does not exist", st.MissingPath)
	}
	if st.CacheErr != nil {
		fmt.Fprintf(&b, "; cache file not written: %v", st.CacheErr)
	}
	return b.String()
}
