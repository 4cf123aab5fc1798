package serverplugin

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// The loop may be about to look at what is wanted: what it says of a node until then is of what was wanted before.
func TestAReportThatIsOlderThanTheWishIsDropped(t *testing.T) {
	registered := node{wanted: true, touched: true, phase: Registered}
	for what, sv := range map[string]service{
		"a Register":    {wanted: true, claims: 2},
		"an Unregister": {claims: 1, report: report{phase: Unregistering}},
	} {
		was := sv.report.phase
		r := &registrar{}
		r.publish(&entry{service: &sv, claims: 1, node: registered}, time.Now())
		if sv.report.phase != was || !sv.report.touched { // but that something may have been written is always known
			t.Errorf("after %s: %+v", what, sv.report)
		}
	}
}

// In the moment in which the loop forgets a node, its service is registered again.
func TestAServiceThatIsWantedAgainIsNotForgotten(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "weight=1")
		pass(time.Second)
		r := p.registrar // whose loop sleeps
		r.forget(r.entries["/rpcx/Arith"])
		r.mu.Lock()
		r.edit()
		r.mu.Unlock()
		pass(time.Second)
		b.mustOwn(p, "weight=1")
	})
}

// A connection that comes and goes within a moment is seen by its number alone.
func TestAReconnectThatNobodySawIsOneToo(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		was := p.Status().Looks
		p.registrar.seen.Link--
		p.registrar.poke()
		pass(0)
		if n := p.Status().Looks - was; n != 1 {
			b.Errorf("%d looks, want one", n)
		}
	})
}

// An answer waits for the loop while the session that it is from ends: no watch is left of it.
func TestAnAnswerFromASessionThatIsOverIsNotBelieved(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.register(b.plugin(), "Arith", "")
		pass(time.Second)
		r := p.registrar
		e := r.entries["/rpcx/Arith"]
		r.running++
		e.node.doing = action{kind: look}
		r.answered(answer{
			job: job{e, e.node.doing, r.seen.Session - 1}, kind: found,
			found: session.Found{Exists: true, Readable: true, Stat: session.Stat{EphemeralOwner: killed}},
		}, time.Now())
		if e.node.followed || e.node.doing.kind != look {
			b.Errorf("%+v", e.node)
		}
		r.poke() // to what is to be done now
		pass(time.Second)
		if st := p.Status(); st.Services[0].Phase != Yielded || st.Services[0].Owner == killed {
			b.Errorf("%+v", st)
		}
	})
}

// hanging is a log handler that takes its time for what is registered.
type hanging struct {
	slog.Handler
	on chan struct{}
}

func (hanging) Enabled(context.Context, slog.Level) bool { return true }

func (h hanging) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "registered" {
		<-h.on
	}
	return nil
}

// The loop is held up while a watch tells of a change, and then a check finds it: the watch is there, and need not be set again.
func TestWhatAWatchHasToldCountsBeforeAnAnswer(t *testing.T) {
	inBubble(t, func(b bubble) {
		h := hanging{slog.DiscardHandler, make(chan struct{})}
		p := b.plugin(WithLogger(slog.New(h)))
		b.register(p, "Arith", "")
		pass(time.Second)
		must(b, b.zk.Set(nodePath, []byte("by hand")))
		pass(time.Second)
		r := p.registrar
		e := r.entries["/rpcx/Arith"]
		r.running++
		e.node.doing = action{kind: look, check: true}
		n, _ := b.zk.Get(nodePath)
		r.answered(answer{
			job: job{e, e.node.doing, r.seen.Session}, kind: found,
			found: session.Found{
				Exists: true, Readable: true, Data: n.Data,
				Stat: session.Stat{EphemeralOwner: n.Stat.EphemeralOwner, Czxid: n.Stat.Czxid, Version: n.Stat.Version},
			},
		}, time.Now())
		if e.node.doing.kind != look || e.node.doing.rearm {
			b.Errorf("%+v", e.node)
		}
		close(h.on)
		pass(time.Second)
		b.mustOwn(p, "")
	})
}

// The loop is held up, and what it last said is of a session that is over.
func TestRegisteredIsOfTheSessionThatIs(t *testing.T) {
	inBubble(t, func(b bubble) {
		h := hanging{slog.DiscardHandler, make(chan struct{})}
		p := b.plugin(WithLogger(slog.New(h)))
		b.register(p, "Arith", "")
		pass(time.Second)
		if !p.Registered() {
			b.Fatal(p.Status())
		}
		b.zk.ExpireAll()
		pass(time.Second)
		if st := p.Status(); p.Registered() || st.Registered || !st.Connected || st.Services[0].Phase != Pending {
			b.Errorf("%+v", st)
		}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			must(b, p.Stop())
		}()
		pass(time.Hour)
		select {
		case <-stopped:
			b.Error("Stop has not waited for the loop")
		default:
		}
		close(h.on)
		synctest.Wait()
		<-stopped
	})
}
