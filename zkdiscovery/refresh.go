package zkdiscovery

import (
	"context"
	"runtime"
	"strings"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/watchers"
)

// deliver takes a list of the service's and returns when it is shown, or ctx has ended.
func (v *view) deliver(ctx context.Context, l *list) {
	v.mu.Lock()
	accepted, gen := v.accept(l), v.gen
	v.mu.Unlock()
	if accepted {
		v.show(gen, ctx.Done())
	}
}

// setFilter makes f the filter and returns when it decides what is shown. It does not wait where it is called from inside a refresh, by the
// filter of before for instance: that refresh shows the list through f before it ends.
func (v *view) setFilter(f client.ServiceDiscoveryFilter) {
	v.mu.Lock()
	v.filter = &filter{keeps: f}
	v.gen++
	gen := v.gen
	v.mu.Unlock()
	v.show(gen, nil)
}

// show returns when the list and filter of gen are shown, or newer ones; also when v ends, or done is closed.
func (v *view) show(gen int64, done <-chan struct{}) {
	for first := true; ; first = false {
		v.refresh()
		change := v.waitsFor(gen)
		if change == nil || first && isInsideRefresh() {
			return
		}
		select {
		case <-change:
		case <-v.ended:
		case <-done:
			return
		}
	}
}

// waitsFor returns what tells of the next change while gen is still to be shown, and nil when it is, or never will be.
func (v *view) waitsFor(gen int64) (change <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.shown.gen >= gen || v.newest == nil || v.hasEnded() {
		return nil
	}
	return v.change()
}

// refresh shows the newest list through the newest filter, until nothing newer is left. The filter is the user's, so it runs outside mu. Only one
// goroutine at a time is at it: refresh returns at once when another one is, which will find what is newest then.
//
// Example: the loop runs the filter over list 7. A program calls SetFilter, whose refresh returns at once, and show waits. The loop has list 7
// filtered, finds that the filter is another one, filters list 7 again, and shows that. Then SetFilter returns.
func (v *view) refresh() {
	v.mu.Lock()
	if v.refreshing {
		v.mu.Unlock()
		return
	}
	v.refreshing = true
	v.mu.Unlock()
	over := false
	defer func() {
		if !over { // the filter has ended its goroutine, as t.FailNow does
			v.abandon()
		}
	}()
	for {
		gen, l, f, ok := v.next()
		if over = !ok; over {
			return
		}
		if p := v.put(gen, l, f.apply(l.Pairs, v.report)); p != nil && v.cfg.observer.Published != nil {
			v.cfg.observe(func(o *Observer) { o.Published(*p) })
		}
	}
}

// next returns what is to be shown. If that is shown already, the refresh is over: in the same step, so that no change falls in between.
func (v *view) next() (gen int64, l *list, f *filter, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.hasEnded() || v.newest == nil || v.shown.gen == v.gen {
		v.refreshing = false
		return 0, nil, nil, false
	}
	return v.gen, v.newest, v.filter, true
}

// abandon leaves a refresh to those who wait for it.
func (v *view) abandon() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refreshing = false
	v.wake()
}

// put shows l, filtered, and delivers it if it says something new, which p tells. It does nothing when l is outdated already.
func (v *view) put(gen int64, l *list, pairs watchers.List) (p *Published) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.hasEnded() || v.gen != gen {
		return nil
	}
	news := v.shown.list == nil || !equalPairs(v.shown.pairs, pairs)
	v.shown.list, v.shown.gen = l, gen
	if l.service == v.service {
		v.lapsed = false
	}
	if news {
		v.shown.revision++
		v.shown.pairs = pairs
		// Under mu, so that the receiver of the list finds Snapshot no older.
		v.watchers.Publish(pairs)
		p = &Published{
			Service: v.path, Source: Source(l.Source), Revision: v.shown.revision, Instances: len(pairs), Watchers: v.watchers.Len(),
		}
	}
	v.wake()
	return p
}

// report tells of a filter that has panicked.
func (v *view) report(panicked any) {
	v.cfg.log.Error("filter panicked, keeping the instance", "service", v.path, "panic", panicked)
}

// isInsideRefresh reports whether this goroutine was called by a refresh, of this view or another one: by a filter, an Observer's hook or a log
// handler. Such a goroutine must not wait for a refresh, which may be its own, or one that waits for its own.
func isInsideRefresh() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(2, pcs)
	for ; n == len(pcs); n = runtime.Callers(2, pcs) {
		pcs = make([]uintptr, 2*len(pcs))
	}
	frames := runtime.CallersFrames(pcs[:n])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "zkdiscovery.(*view).refresh") {
			return true
		}
		if !more {
			return false
		}
	}
}
