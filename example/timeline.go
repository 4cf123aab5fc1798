package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"
)

// longestBackoff is the library's longest pause between two attempts to connect.
const longestBackoff = 5 * time.Second

// How long the drill waits for something that must happen, before it goes on and says so.
const (
	awaitLimit   = 10 * time.Second
	recoverLimit = 15 * time.Second // from ZooKeeper's return: a pause, and what the guard takes to find out who is dead
)

// timeline is what happens in each phase.
var timeline = [phases]func(*drill, context.Context) error{
	phaseSteady: func(d *drill, ctx context.Context) error {
		if err := d.start(ctx, "A", "B", "C"); err != nil {
			return err
		}
		d.tale.say("servers", "A, B and C are up and registered, with weight 1 each")
		d.tale.change("client", "starts, and begins to call")
		var err error
		if d.first, err = startConsumer(d.zookeeper, d.cacheDir, &d.now, d.telling("client"), d.avoiding("client")); err != nil {
			return err
		}
		d.status.client("client", d.first)
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
	phaseAway:   (*drill).loseZooKeeper,
	phaseSecond: (*drill).startSecond,
	phaseDiedUnseen: func(d *drill, ctx context.Context) error {
		d.tale.change("server B", "is killed; the list cannot know, its callers do")
		key := d.instances["B"].key
		before := d.first.picks(key) + d.second.picks(key)
		d.kill("B")
		if err := d.watch(ctx); err != nil {
			return err
		}
		d.outcome.metDead = d.first.picks(key) + d.second.picks(key) - before
		// ZooKeeper rounds a session's end up to its next tick, of which the shortest session has two.
		if err := pause(ctx, time.Until(d.stopped.Add(d.first.discovery.Status().SessionTimeout*3/2))); err != nil {
			return err
		}
		return d.zookeeper.expire(ctx)
	},
	phaseReturning: (*drill).regainZooKeeper,
	phaseAgain:     (*drill).watch,
}

// change does something to the servers, waits until the first client's list says so, and watches on.
func (d *drill) change(ctx context.Context, who, what string, do func() error) error {
	began := d.tale.change(who, what)
	if err := do(); err != nil {
		return err
	}
	if err := d.notice(ctx, d.tale.text(who)+" "+d.tale.text(what), began, lists(d.living())); err != nil {
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
	d.stopped = d.tale.change("ZooKeeper", d.zookeeper.stopping())
	if err := d.zookeeper.stop(); err != nil {
		return err
	}
	if err := d.notice(ctx, d.tale.text("ZooKeeper goes away"), d.stopped, func(v view) bool { return !v.connected }); err != nil {
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
	c, err := startConsumer(d.zookeeper, d.cacheDir, &d.now, func(view) {}, d.avoiding("client 2"))
	if err != nil {
		return fmt.Errorf("second client: %w", err)
	}
	d.second = c
	d.status.client("client 2", c)
	up := time.Now()
	s := c.discovery.Snapshot()
	servers := metadataOf(s)
	d.outcome.secondSource, d.outcome.secondAlike = s.Source, maps.Equal(servers, d.first.feed.current().servers)
	d.tale.news(up, "client 2", "has the list, from the %v: %s", s.Source, d.tale.list(servers))
	return d.watch(ctx)
}

// regainZooKeeper brings ZooKeeper back, and returns when the servers are registered and both clients have recovered.
func (d *drill) regainZooKeeper(ctx context.Context) error {
	o := &d.outcome
	o.secondAway = d.second.ledger.of(phaseSecond).plus(d.second.ledger.of(phaseDiedUnseen))
	o.listsAway = d.first.feed.current().lists - d.listsBefore
	was := d.first.discovery.Status()
	o.liveWithin = was.SessionTimeout + longestBackoff

	began := d.tale.change("ZooKeeper", "is back; all sessions have expired: nobody is registered")
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
	d.tale.news(time.Now(), "servers", "are registered again: %s", d.tale.list(d.living()))
}

// recovered waits until a client is live, has the right list and can call with it.
func (d *drill) recovered(ctx context.Context, began time.Time, who string, c *consumer) (r recovery) {
	err := c.discovery.WaitLive(ctx)
	if err == nil {
		live := time.Now()
		r.live = live.Sub(began)
		if held := c.discovery.Status().Held; held > 0 {
			d.tale.news(live, who, "is live again, holds %d not registered", held)
		} else {
			d.tale.news(live, who, "is live again")
		}
		// What the feed has may be older: a list that the other client has left in the file.
		right := d.living()
		var v view
		if v, err = c.feed.await(ctx, live, func(v view) bool { return maps.Equal(v.servers, right) && c.has(right) }); err == nil {
			r.right = max(v.at.Sub(began), r.live)
			err = c.callUntilAnswered(ctx)
		}
	}
	if err != nil {
		d.tale.say(who, "has not recovered: %v", err)
	}
	return r
}
