package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
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
	status        *status
}

func newDrill(step time.Duration, tale *narrator) *drill {
	return &drill{tale: tale, step: step, instances: make(map[string]*instance), status: newStatus()}
}

// hold holds the drill on the ZooKeeper at servers, or on one of its own when there are none. The caller closes the drill, however this ends.
func (d *drill) hold(ctx context.Context, servers []string) (err error) {
	if d.cacheDir, err = os.MkdirTemp("", "holdfast-drill-"); err != nil {
		return err
	}
	if d.zookeeper, err = openZooKeeper(ctx, servers); err != nil {
		return err
	}
	d.tale.heading("The outage drill: on %s, with real rpcx servers and clients that call all the time", d.zookeeper.where(d.tale.words))
	for p, play := range timeline {
		d.now.Store(int32(p))
		d.tale.heading(titles[p])
		if err := play(d, ctx); err != nil {
			return err
		}
		d.tellCalls(phase(p))
	}
	for p := range phases {
		d.outcome.phases[p] = d.calls(p)
	}
	d.outcome.right = d.first.has(d.living()) && d.second.has(d.living())
	return nil
}

// start starts servers by name.
func (d *drill) start(ctx context.Context, names ...string) error {
	for _, name := range names {
		i, err := startInstance(ctx, name, d.zookeeper)
		if err != nil {
			return err
		}
		d.instances[name] = i
		d.status.add(func(all *metrics.Sources) { all.Plugins["server "+name] = i.plugin })
	}
	return nil
}

func (d *drill) kill(name string) {
	d.instances[name].kill()
	delete(d.instances, name)
	d.status.add(func(all *metrics.Sources) { delete(all.Plugins, "server "+name) })
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

// tellCalls sums a phase up.
func (d *drill) tellCalls(p phase) {
	t := d.calls(p)
	var parts []string
	for _, server := range slices.Sorted(maps.Keys(t.byServer)) {
		parts = append(parts, server+" "+count(t.byServer[server]))
	}
	d.tale.say("calls", "%s: %s", d.tale.calls(t.calls, t.failed), strings.Join(parts, ", "))
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
	statusErr := d.status.close()
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
	return errors.Join(statusErr, err, os.RemoveAll(d.cacheDir))
}

// avoiding tells that a client keeps away from a server.
func (d *drill) avoiding(who string) func(server, why string) {
	return func(server, why string) { d.tale.news(time.Now(), who, "keeps away from %s: %s", server, why) }
}

// telling is a feed's listener that tells what it hears.
func (d *drill) telling(who string) func(view) {
	var was view
	return func(v view) {
		switch {
		case v.lists > was.lists:
			d.tale.news(v.at, who, "has the list: %s", d.tale.list(v.servers))
		case was.connected && !v.connected:
			d.tale.news(v.at, who, "has lost ZooKeeper, keeps the list: %s", d.tale.list(v.servers))
		}
		was = v
	}
}
