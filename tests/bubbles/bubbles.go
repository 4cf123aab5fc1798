// Package bubbles runs tests in synctest's bubbles so that the race detector survives it.
package bubbles

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// Test is synctest.Test, on one processor where the race detector watches. Go's runtime (1.26) has one context of the race detector for all timers
// of a bubble; two processors that read timers which have run out in the same instant spoil it, and the process dies of SIGSEGV in the detector:
// without this, TestReadersOfTimersInABubbleDoNotKillTheDetector does it in a second. The detector finds what it finds by the order that locks and channels
// give, which one processor shows as well as two.
func Test(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if raced {
		defer oneProcessor()()
	}
	synctest.Test(t, f)
}

// processors is what there were before the first of the bubbles that are open.
var processors struct {
	sync.Mutex
	bubbles, before int
}

// oneProcessor leaves the process one processor until it and all others who asked are done.
func oneProcessor() (done func()) {
	p := &processors
	p.Lock()
	defer p.Unlock()
	if p.bubbles++; p.bubbles == 1 {
		p.before = runtime.GOMAXPROCS(1)
	}
	return func() {
		p.Lock()
		defer p.Unlock()
		if p.bubbles--; p.bubbles == 0 {
			runtime.GOMAXPROCS(p.before)
		}
	}
}
