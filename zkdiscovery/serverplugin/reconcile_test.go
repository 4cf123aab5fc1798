package serverplugin

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// The loop may be about to learn what is wanted: what it says of a node until then is of what was wanted before.
func TestAReportThatIsOlderThanTheOrderSaysNothing(t *testing.T) {
	begin := time.Unix(0, 0)
	ended := begin.Add(time.Minute)
	now := begin.Add(time.Hour)
	old := line{order: order{no: 1, claim: 1, wanted: true}, phase: Registered, since: begin}
	of := func(o order) *line {
		l := old
		l.order = o
		return &l
	}
	for _, tc := range []struct {
		rule  string
		order order
		line  *line
		dead  bool
		phase Phase
		since time.Time
	}{
		{"what it knows, it says", old.order, &old, false, Registered, begin},
		{"a Register is pending until it is known", order{no: 2, claim: 2, wanted: true, since: now}, &old, false, Pending, now},
		{"so is the first one", order{no: 2, claim: 2, wanted: true, since: now}, nil, false, Pending, now},
		{"other metadata leave it registered", order{no: 2, claim: 1, wanted: true, since: now}, &old, false, Registered, begin},
		{"an Unregister is under way until it is known", order{no: 2, claim: 1, since: now}, &old, false, Unregistering, now},
		{"also when it is not begun", order{no: 2, claim: 1, since: now}, nil, false, Unregistering, now},
		{"a Register after that is pending", order{no: 3, claim: 3, wanted: true, since: now}, of(order{no: 2, claim: 1}), false, Pending, now},
		{"a report may be newer than what was asked", old.order, of(order{no: 2, claim: 2, wanted: true}), false, Registered, begin},
		{"nobody is registered in a session that is over", old.order, &old, true, Pending, ended},
	} {
		if phase, since := phaseOf(tc.order, tc.line, ended, tc.dead); phase != tc.phase || !since.Equal(tc.since) {
			t.Errorf("%s: %v since %v, want %v since %v", tc.rule, phase, since, tc.phase, tc.since)
		}
	}
}

// In the moment in which the loop forgets a node, its service is registered again.
func TestAServiceThatIsWantedAgainIsNotForgotten(t *testing.T) {
	m := newMailbox(make(chan struct{}, 1))
	const path = "/rpcx/Arith"
	m.register("Arith", path, "weight=1", false)
	o, ok := m.unregister(path)
	if l := m.take(); !ok || len(l.orders) != 1 || l.orders[0].wanted {
		t.Fatalf("%+v", l)
	}
	if !m.register("Arith", path, "weight=2", false) {
		t.Error("it was wanted all the time")
	}
	m.done(o)
	if l := m.take(); len(l.orders) != 1 || !l.orders[0].wanted || l.orders[0].metadata != "weight=2" {
		t.Errorf("%+v", l)
	}
	if orders := m.all(); len(orders) != 1 {
		t.Errorf("%+v", orders)
	}
}

// A connection that comes and goes within a moment is seen by its number alone.
func TestAReconnectThatNobodySawIsOneToo(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		was := p.Status().Looks
		p.registrar.seen.Link--
		p.registrar.mail.change(func(*state) {})
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
		e.node.doing.begin(action{kind: look}, &e.node)
		e.node.doing.session--
		r.answered(answer{
			job: job{entry: e, action: e.node.doing.action, session: r.seen.Session - 1}, kind: found,
			found: session.Found{Exists: true, Readable: true, Stat: session.Stat{EphemeralOwner: killed}},
		}, time.Now())
		if e.node.seen.followed || e.node.doing.kind != look {
			b.Errorf("%+v", e.node)
		}
		r.mail.change(func(*state) {}) // to what is to be done now
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
		e.node.doing.begin(action{kind: look, check: true}, &e.node)
		n, _ := b.zk.Get(nodePath)
		r.answered(answer{
			job: job{entry: e, action: e.node.doing.action, session: r.seen.Session}, kind: found,
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

func TestAServiceIsPendingSinceItsSessionEnded(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Hour)
		cut := time.Now()
		b.zk.Stop()
		pass(time.Hour)
		st := p.Status()
		s := st.Services[0]
		// The session lives for its timeout after the last answer, which a ping got at most a third of it before the cut.
		if latest := cut.Add(st.SessionTimeout); s.Phase != Pending || s.Since.After(latest) || s.Since.Before(latest.Add(-st.SessionTimeout/2)) {
			b.Errorf("%v since %v, want pending since about %v", s.Phase, s.Since, latest)
		}
	})
}
