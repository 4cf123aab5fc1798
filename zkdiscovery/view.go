package zkdiscovery

import (
	"context"
	"log/slog"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/watchers"
)

// What a service and its discoveries have to do with each other.

// hasEnded reports whether d or what it depends on was closed: then nothing is delivered any more. The caller holds mu.
func (d *Discovery) hasEnded() bool { return d.closed || d.root.ctx.Err() != nil }

// wantsService reports whether d may have a service now.
func (d *Discovery) wantsService() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.closed && (d.kind == owner || d.kind == clone)
}

// setService notes which service d shows; nil says that it has none, and that its list is the last known from then on.
func (d *Discovery) setService(sv *service) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.service = sv; sv == nil {
		d.lapse()
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

// lapse makes a live list a stale one, for good: also when d is taken up again, until the service that it has then brings one. The caller holds mu.
func (d *Discovery) lapse() {
	was := d.newest
	if was == nil || was.source != Live {
		return
	}
	l := *was
	l.source, l.asOf = Stale, was.confirmed()
	l.seq-- // so that the same list, live, is newer
	if d.shown == was {
		d.shown = &l
		d.shownGen++
	}
	d.newest = &l
	d.gen++
}

// idleSince returns when d was used last, or that it is in use.
func (d *Discovery) idleSince() (since time.Time, used bool) {
	if d.kind == owner || d.set.Len() > 0 {
		return time.Time{}, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used, false
}

// touch notes that d is used, and takes a service that was let go up again.
func (d *Discovery) touch() {
	if d.kind != clone {
		return
	}
	d.mu.Lock()
	d.used = time.Now()
	released := d.service == nil && !d.closed
	d.mu.Unlock()
	if released {
		d.root.attach(d, time.Time{})
	}
}

// deliver takes a list of the service's, unless it has a newer one.
func (d *Discovery) deliver(l *list) {
	d.mu.Lock()
	if d.closed || !d.newest.isOlderThan(l) {
		d.mu.Unlock()
		return
	}
	d.newest = l
	d.gen++
	d.mu.Unlock()
	d.refresh()
}

// isOlderThan says whether o follows l, which may be nil. The file of a service that was let go and is taken up again during an outage may well
// be older than what its clone remembers.
func (l *list) isOlderThan(o *list) bool {
	switch {
	case l == nil:
		return true
	case o.source == File && (l.source == Live || l.source == Stale):
		return l.seq < o.seq && l.before(&o.generation)
	}
	return l.seq < o.seq
}

// refresh shows the newest list through the newest filter. The filter is the user's, so it runs outside mu; if the list or the filter has
// changed meanwhile, once more. When refresh returns, what was there when it was called is shown, or something newer; after Close, the last.
func (d *Discovery) refresh() {
	for {
		d.mu.Lock()
		gen, l, filter := d.gen, d.newest, d.filter
		done := d.hasEnded() || l == nil || d.shownGen == gen
		d.mu.Unlock()
		if done {
			return
		}
		pairs := d.filtered(l.pairs, filter)
		if p, ok := d.show(gen, l, pairs); ok {
			if p != nil && d.root.cfg.observer.Published != nil {
				d.root.cfg.observe(func(o *Observer) { o.Published(*p) })
			}
			return
		}
	}
}

// show makes l, filtered, the list of d, and delivers it if it says something new. ok is false when it is outdated already.
func (d *Discovery) show(gen int64, l *list, pairs watchers.List) (p *Published, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ended := d.hasEnded(); ended || d.gen != gen {
		return nil, ended
	}
	news := d.shown == nil || !equalPairs(d.pairs, pairs)
	d.shownGen, d.shown = gen, l
	if news {
		d.revision++
		d.pairs = pairs
		// Under mu, so that whoever receives the list finds Snapshot no older.
		d.set.Publish(pairs)
		p = &Published{Service: d.path, Source: l.source, Revision: d.revision, Instances: len(pairs), Watchers: d.set.Len()}
	}
	close(d.changed)
	d.changed = make(chan struct{})
	return p, true
}

// filtered is the part of pairs that the filter keeps. The filter gets copies.
func (d *Discovery) filtered(pairs watchers.List, filter client.ServiceDiscoveryFilter) watchers.List {
	if filter == nil {
		return pairs
	}
	copies := make([]client.KVPair, len(pairs))
	kept := make(watchers.List, 0, len(pairs))
	for i, p := range pairs {
		copies[i] = *p
		if d.keeps(filter, &copies[i]) {
			kept = append(kept, p)
		}
	}
	return kept
}

func (d *Discovery) keeps(filter client.ServiceDiscoveryFilter, p *client.KVPair) (keep bool) {
	defer func() {
		if r := recover(); r != nil {
			level := slog.LevelDebug
			if d.firstPanic() {
				level = slog.LevelError
			}
			d.root.cfg.log.Log(context.Background(), level, "filter panicked, keeping the instance", "service", d.path, "panic", r)
			keep = true
		}
	}()
	return filter(p)
}

// firstPanic reports whether it is the filter's first: one that panics may do so for every instance of every list.
func (d *Discovery) firstPanic() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := !d.panicked
	d.panicked = true
	return first
}
