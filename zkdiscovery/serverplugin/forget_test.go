package serverplugin

import (
	"fmt"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// TestWhatIsForgottenIsNotSubscribedTo registers and unregisters one name after another, as a process does whose services come and go: the
// session, which lives as long as the plugin, must not keep the subscription of any.
func TestWhatIsForgottenIsNotSubscribedTo(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		const names = 100
		subs := make([]weak.Pointer[session.Subscription], names)
		for i := range subs {
			name := fmt.Sprint("Service", i)
			b.register(p, name, "weight=3")
			pass(time.Second) // the loop waits now, and its entries can be looked at
			subs[i] = weak.Make(p.registrar.entries[p.registrar.cfg.base+"/"+name].sub)
			must(b, p.Unregister(name))
		}
		pass(time.Second)
		runtime.GC()
		kept := 0
		for _, sub := range subs {
			if sub.Value() != nil {
				kept++
			}
		}
		if kept > 1 { // the memory of the loop's queue may refer to the last one
			b.Errorf("%d of %d subscriptions are still there", kept, names)
		}
		if n := p.registrar.session.Outstanding(); n > 0 {
			b.Errorf("%d watches are outstanding", n)
		}
	})
}
