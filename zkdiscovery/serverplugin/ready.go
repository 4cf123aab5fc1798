package serverplugin

import (
	"context"
	"fmt"
	"time"
)

const (
	askEvery = time.Second     // until the program is ready
	askAgain = 5 * time.Second // from then on, with WithReadyAlways
	askLimit = 5 * time.Second // for one answer
)

// Ready reports whether this server may be sent traffic, as far as its registration goes: for a readiness probe. It is true once every service that
// is to be registered has been registered, and stays so while ZooKeeper is away, when clients go on with the list that they have: a probe that
// asked Registered would take the whole fleet out in that moment. It is false before that, also in a process that starts while ZooKeeper is away,
// while one of the services yields to another process, while there is nothing to register, and from Drain or Stop on. It does not block.
func (p *ZooKeeperRegisterPlugin) Ready() bool {
	p.mu.Lock()
	r := p.registrar
	p.mu.Unlock()
	if r == nil || r.ctx.Err() != nil {
		return false
	}
	rep := r.report.Load()
	r.mail.mu.Lock()
	defer r.mail.mu.Unlock()
	return r.mail.wanted > 0 && !r.mail.state.draining && r.mail.fresh <= rep.taken && !rep.unready
}

// verdict is what the program says of itself; no is why it is not ready, nil when it is.
type verdict struct{ no error }

// awaitReady asks the program whether it is ready, once after the other, and tells the loop.
func (r *registrar) awaitReady() {
	ask := r.cfg.ready
	if ask == nil {
		r.mail.change(func(st *state) { st.ready = true })
		return
	}
	answers := make(chan verdict, 1) // each call's goroutine sends once
	timer := time.NewTimer(0)
	defer timer.Stop()
	for said := false; ; {
		ctx, cancel := context.WithTimeout(r.ctx, askLimit)
		go func() { answers <- verdict{askSafely(ctx, ask)} }()
		var err error
		late := false
		select {
		case v := <-answers:
			err = v.no
		case <-ctx.Done():
			err, late = ctx.Err(), true
		}
		if r.ctx.Err() == nil {
			r.hear(err, &said)
		}
		if late { // there is never a second call beside it
			r.awaitAnswer(answers)
		}
		cancel()
		every := askEvery
		if r.mail.is().ready {
			every = askAgain
		}
		if r.ctx.Err() != nil || every == askAgain && !r.cfg.always {
			return
		}
		timer.Reset(every)
		select {
		case <-timer.C:
		case <-r.ctx.Done():
			return
		}
	}
}

// awaitAnswer waits for a call that is late. When the plugin stops, one that does not honour its context is left behind after a second.
func (r *registrar) awaitAnswer(answers <-chan verdict) {
	select {
	case <-answers:
		return
	case <-r.ctx.Done():
	}
	limit := time.NewTimer(unregistered)
	defer limit.Stop()
	select {
	case <-answers:
	case <-limit.C:
	}
}

// askSafely calls the program. A panic is a no.
func askSafely(ctx context.Context, ask func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return ask(ctx)
}

// hear tells the loop of an answer, and the log when it is another one than the last. said is whether the program has answered before.
func (r *registrar) hear(err error, said *bool) {
	was, yes := r.mail.is(), err == nil
	same := *said && yes == (was.why == nil)
	*said = true
	switch log := r.cfg.log; {
	case same:
	case yes:
		log.Info("the program is ready")
	case was.ready:
		log.Warn("the program is not ready any more: its services say state=inactive", "err", err)
	default:
		log.Warn("the program is not ready: its services are registered when it is", "err", err)
	}
	r.mail.change(func(st *state) { st.ready, st.why = st.ready || yes, err })
}
