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

// A node that is let go and begun again, both before the loop has looked at the mailbox once more, keeps what an operator has said since the last
// ClearOperator. One that was cleared while there was no node at all says nothing any more.
func TestWhatWasClearedOnceIsNotClearedAgain(t *testing.T) {
	inBubble(t, func(b bubble) {
		b.zk.Stop()
		of := b.plugin()
		pass(time.Second)
		must(b, of.Stop())
		r := &registrar{cfg: of.registrar.cfg, session: of.registrar.session, pokes: make(chan struct{}, 1), mail: newMailbox(make(chan struct{}, 1))}
		r.entries, r.words, r.extra = make(map[string]*entry), make(map[string]*layer), new(extra)
		const path = "/rpcx/Arith"
		register := func() { r.mail.register("Arith", path, "weight=3", false) }
		clearWords := func() {
			r.mail.amend(path, func(o *order, no int64) { o.cleared = map[string]int64{"weight": no} })
		}
		read := func() { r.read(time.Now()) }
		word := (*layer)(nil).with(Word{Key: "weight", Values: []string{"9"}})

		register()
		clearWords()
		read()
		e := r.entries[path]
		e.node.wish.words = word
		r.mail.unregister(path)
		register()
		r.forget(e)
		read()
		if e = r.entries[path]; e.node.wish.words != word {
			b.Errorf("the word is %v", e.node.wish.words)
		}

		r.mail.unregister(path)
		read()
		if r.entries[path] != nil || r.words[path] != word {
			b.Fatalf("not let go: %v, %v", r.entries, r.words)
		}
		register()
		clearWords()
		r.mail.unregister(path)
		read()
		register()
		read()
		if got := r.entries[path].node.wish.words; got != nil {
			b.Errorf("the word that was cleared is %v", got)
		}
	})
}
