package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// longestBackoff is the library's longest pause between two attempts to connect.
const longestBackoff = 5 * time.Second

// How long the drill waits for something that must happen, before it goes on and says so.
const (
	awaitLimit   = 10 * time.Second
	recoverLimit = 15 * time.Second // from ZooKeeper's return: a pause, and what the guard takes to find out who is dead
)

// drill is the outage drill while it is held.
type drill struct {
	tale     *narrator
	step     time.Duration
	cacheDir string
	now      atomic.Int32 // the phase

	zookeeper     zookeeper
	instances     map[string]*instance // that live, by name
	first, second *consumer
	stopped       time.Time // when ZooKeeper went away
	listsBefore   int       // that the first client had received then
	outcome       outcome
}

func newDrill(step time.Duration, tale *narrator) *drill {
	return &drill{tale: tale, step: step, instances: make(map[string]*instance)}
}

// hold holds the drill on the ZooKeeper at servers, or on one of its own when there are none. The caller closes the drill, however this ends.
func (d *drill) hold(ctx context.Context, servers []string) (err error) {
	if d.cacheDir, err = os.MkdirTemp("", "holdfast-drill-"); err != nil {
		return err
	}
	if d.zookeeper, err = openZooKeeper(ctx, servers); err != nil {
		return err
	}
	d.tale.heading("The outage drill: on %v, with real rpcx servers and clients that call all the time", d.zookeeper)
	for p, play := range timeline {
		d.now.Store(int32(p))
		d.tale.heading("%s", titles[p])
		if err := play(d, ctx); err != nil {
			return err
		}
		d.tellCalls(phase(p))
	}
	for p := range phases {
		d.outcome.phases[p] = d.calls(p)
	}
	right := lists(d.living())
	d.outcome.right = right(d.first.feed.current()) && right(d.second.feed.current())
	return nil
}

// timeline is what happens in each phase.
var timeline = [phases]func(*drill, context.Context) error{
	phaseSteady: func(d *drill, ctx context.Context) error {
		if err := d.start(ctx, "A", "B", "C"); err != nil {
			return err
		}
		d.tale.say("servers", "A, B and C are up and registered, with weight 1 each")
		d.tale.change("client", "starts, and begins to call")
		var err error
		if d.first, err = startConsumer(d.zookeeper, d.cacheDir, &d.now, d.telling("client")); err != nil {
			return err
		}
		return d.watch(ctx)
	},
	phaseDied: func(d *drill, ctx context.Context) error {
		return d.change(ctx, "server A", "is killed, and its session ends", func() error { d.kill("A"); return nil })
	},
	phaseJoined: func(d *drill, ctx context.Context) error {
		return d.change(ctx, "server D", "starts", func() error { return d.start(ctx, "D") })
	},
	phaseWeighed: func(d *drill, ctx context.Context) error {
		return d.change(ctx, "server D", "gets weight 6", func() error { return d.instances["D"].weigh(6) })
	},
	phaseAway: func(d *drill, ctx context.Context) error {
		return d.loseZooKeeper(ctx)
	},
	phaseSecond: func(d *drill, ctx context.Context) error {
		return d.startSecond(ctx)
	},
	phaseDiedUnseen: func(d *drill, ctx context.Context) error {
		d.tale.say("server B", "is killed; the list cannot know, so rpcx tries it and goes on to the next")
		d.kill("B")
		if err := d.watch(ctx); err != nil {
			return err
		}
		// ZooKeeper rounds a session's end up to its next tick, of which the shortest session has two.
		if err := pause(ctx, time.Until(d.stopped.Add(d.first.discovery.Status().SessionTimeout*3/2))); err != nil {
			return err
		}
		return d.zookeeper.expire(ctx)
	},
	phaseReturning: func(d *drill, ctx context.Context) error {
		return d.regainZooKeeper(ctx)
	},
	phaseAgain: func(d *drill, ctx context.Context) error {
		return d.watch(ctx)
	},
}

// start starts servers by name.
func (d *drill) start(ctx context.Context, names ...string) error {
	for _, name := range names {
		i, err := startInstance(ctx, name, d.zookeeper)
		if err != nil {
			return err
		}
		d.instances[name] = i
	}
	return nil
}

func (d *drill) kill(name string) {
	d.instances[name].kill()
	delete(d.instances, name)
}

// living is the list as it should be.
func (d *drill) living() map[string]string {
	servers := make(map[string]string)
	for _, i := range d.instances {
		servers[i.key] = i.metadata
	}
	return servers
}

// watch lets the calls go on for a step.
func (d *drill) watch(ctx context.Context) error { return pause(ctx, d.step) }

func pause(ctx context.Context, d time.Duration) error {
	over := time.NewTimer(d)
	defer over.Stop()
	select {
	case <-over.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// change does something to the servers, waits until the first client's list says so, and watches on.
func (d *drill) change(ctx context.Context, who, what string, do func() error) error {
	began := d.tale.change(who, "%s", what)
	if err := do(); err != nil {
		return err
	}
	if err := d.notice(ctx, who+" "+what, began, lists(d.living())); err != nil {
		return err
	}
	p := d.first.ledger.phase()
	before := d.calls(p)
	err := d.watch(ctx)
	d.outcome.settled[p] = d.calls(p).since(before)
	return err
}

// notice waits until the first client has noticed a change, and notes how long that took.
func (d *drill) notice(ctx context.Context, what string, began time.Time, wanted func(view) bool) error {
	limit, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	v, err := d.first.feed.await(limit, began, wanted)
	c := change{what: what, noticed: err == nil}
	if c.noticed {
		c.took = v.at.Sub(began)
	} else {
		d.tale.say("client", "has not noticed within %v", awaitLimit)
	}
	d.outcome.changes = append(d.outcome.changes, c)
	return ctx.Err()
}

func (d *drill) loseZooKeeper(ctx context.Context) error {
	// The file is written off the path of delivery, once a second at most: the last change may be on its way still.
	limit, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	if _, err := d.first.feed.await(limit, time.Now(), func(view) bool { return d.isSaved("weight=6") }); err != nil {
		d.tale.say("client", "has not saved the list within %v", awaitLimit)
	}
	d.listsBefore = d.first.feed.current().lists
	d.stopped = d.tale.change("ZooKeeper", "%s", d.zookeeper.stopping())
	if err := d.zookeeper.stop(); err != nil {
		return err
	}
	if err := d.notice(ctx, "ZooKeeper goes away", d.stopped, func(v view) bool { return !v.connected }); err != nil {
		return err
	}
	return d.watch(ctx)
}

// isSaved reports whether the first client's file, which is for people to read too, has a text in it.
func (d *drill) isSaved(text string) bool {
	file, err := os.ReadFile(d.first.discovery.Status().CacheFile)
	return err == nil && bytes.Contains(file, []byte(text))
}

func (d *drill) startSecond(ctx context.Context) error {
	d.tale.change("client 2", "starts, and begins to call")
	c, err := startConsumer(d.zookeeper, d.cacheDir, &d.now, func(view) {})
	if err != nil {
		return fmt.Errorf("second client: %w", err)
	}
	d.second = c
	up := time.Now()
	s := c.discovery.Snapshot()
	servers := make(map[string]string)
	for _, p := range s.Servers {
		servers[p.Key] = p.Value
	}
	d.outcome.secondSource, d.outcome.secondAlike = s.Source, maps.Equal(servers, d.first.feed.current().servers)
	d.tale.news(up, "client 2", "has the list, from the %v: %s", s.Source, describe(servers))
	return d.watch(ctx)
}

// regainZooKeeper brings ZooKeeper back, and returns when the servers are registered and both clients have recovered.
func (d *drill) regainZooKeeper(ctx context.Context) error {
	o := &d.outcome
	o.secondAway = d.second.ledger.of(phaseSecond).plus(d.second.ledger.of(phaseDiedUnseen))
	o.listsAway = d.first.feed.current().lists - d.listsBefore
	was := d.first.discovery.Status()
	o.liveWithin = was.SessionTimeout + longestBackoff

	began := d.tale.change("ZooKeeper", "is back; all sessions have expired, so no server is registered")
	if err := d.zookeeper.start(); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	var waits sync.WaitGroup
	waits.Go(func() { d.registeredAgain(limit) })
	waits.Go(func() { o.returned[0] = d.recovered(limit, began, "client", d.first) })
	waits.Go(func() { o.returned[1] = d.recovered(limit, began, "client 2", d.second) })
	waits.Wait()
	if d.first.discovery.Status().Sessions == was.Sessions {
		return errors.New("the clients' sessions have outlasted ZooKeeper's absence")
	}
	return ctx.Err()
}

// registeredAgain waits until every server is, and tells so.
func (d *drill) registeredAgain(ctx context.Context) {
	for _, i := range d.instances {
		if err := i.plugin.WaitRegistered(ctx); err != nil {
			d.tale.say("servers", "%v", err)
			return
		}
	}
	d.tale.news(time.Now(), "servers", "are registered again: %s", describe(d.living()))
}

// recovered waits until a client is live, has the right list and can call with it.
func (d *drill) recovered(ctx context.Context, began time.Time, who string, c *consumer) (r recovery) {
	err := c.discovery.WaitLive(ctx)
	if err == nil {
		live := time.Now()
		r.live = live.Sub(began)
		if held := c.discovery.Status().Held; held > 0 {
			d.tale.news(live, who, "is live again, and holds %d that are not registered", held)
		} else {
			d.tale.news(live, who, "is live again")
		}
		// Not the list that it still had, or took from the file, but the one that it has now.
		var v view
		if v, err = c.feed.await(ctx, live, lists(d.living())); err == nil {
			r.right = max(v.at.Sub(began), r.live)
			err = c.callUntilAnswered(ctx)
		}
	}
	if err != nil {
		d.tale.say(who, "has not recovered: %v", err)
	}
	return r
}

// tellCalls sums a phase up.
func (d *drill) tellCalls(p phase) {
	t := d.calls(p)
	var parts []string
	for _, server := range slices.Sorted(maps.Keys(t.byServer)) {
		parts = append(parts, server+" "+count(t.byServer[server]))
	}
	d.tale.say("calls", "%s: %s", calls(t.calls, t.failed), strings.Join(parts, ", "))
}

// calls are those of a phase, of both clients.
func (d *drill) calls(p phase) tally {
	t := d.first.ledger.of(p)
	if d.second != nil {
		t = t.plus(d.second.ledger.of(p))
	}
	return t
}

// close ends what has been started, as far as the drill has come: the clients first, or they would see the rest go.
func (d *drill) close() error {
	for _, c := range []*consumer{d.first, d.second} {
		if c != nil {
			c.close()
		}
	}
	for name := range d.instances {
		d.kill(name)
	}
	var err error
	if d.zookeeper != nil {
		err = d.zookeeper.close()
	}
	return errors.Join(err, os.RemoveAll(d.cacheDir))
}

// telling is a feed's listener that tells what it hears.
func (d *drill) telling(who string) func(view) {
	var was view
	return func(v view) {
		switch {
		case v.lists > was.lists:
			d.tale.news(v.at, who, "has the list: %s", describe(v.servers))
		case was.connected && !v.connected:
			d.tale.news(v.at, who, "has lost ZooKeeper and keeps the list: %s", describe(v.servers))
		}
		was = v
	}
}
