package weather

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
)

// registrant is a server process that registers through the plugin.
type registrant struct {
	run     *run
	name    string
	key     string
	way     *way
	log     *logbook
	servers []string
	base    string
	plugin  *serverplugin.ZooKeeperRegisterPlugin
	wants   map[string]string // metadata by service
	over    bool
}

// registrantKeys are the addresses that registrants have: two processes may want one.
func registrantKey(i int) string { return fmt.Sprintf("tcp@10.9.0.%d:8972", 1+i%3) }

// serve starts a registrant.
func (r *run) serve(seed uint64, key string) {
	rng := rand.New(rand.NewPCG(seed, 2))
	g := &registrant{run: r, name: r.nameOf("S"), key: key, way: newWay(r.zk), wants: make(map[string]string)}
	g.log = &logbook{run: r, name: g.name}
	g.servers, g.base, _ = r.address(rng)
	r.ways = append(r.ways, g.way)
	g.plugin = serverplugin.NewZooKeeperRegisterPlugin(drawRegistrant(rng, g)...)
	r.note("%s begins at %s", g.name, key)
	if err := g.plugin.Start(); err != nil {
		r.violate("pluginsStart", "%s: %v", g.name, err)
		return
	}
	r.registrants = append(r.registrants, g)
}

// ready is what the program says of itself.
func (g *registrant) ready(context.Context) error {
	if g.run.is("not ready") {
		return errors.New("warming up")
	}
	return nil
}

func (g *registrant) register(service string) {
	g.run.values++
	value := fmt.Sprintf("n=%d", g.run.values)
	g.wants[service] = value
	g.run.wants(service, g.key)
	g.run.note("%s registers %s as %s", g.name, service, value)
	if err := g.plugin.Register(service, nil, value); err != nil {
		g.run.violate("registerNeverFails", "%s: %v", g.name, err)
	}
}

func (g *registrant) unregister(service string) {
	delete(g.wants, service)
	began := time.Now()
	err := g.plugin.Unregister(service)
	g.run.note("%s unregisters %s: %v", g.name, service, err)
	if took := time.Since(began); took > 1100*time.Millisecond {
		g.run.violate("unregisterReturnsInTime", "%s: Unregister took %v", g.name, took)
	}
}

func (g *registrant) drain() {
	clear(g.wants)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	began := time.Now()
	err := g.plugin.Drain(ctx)
	g.run.note("%s drains: %v", g.name, err)
	if took := time.Since(began); took > 21*time.Second {
		g.run.violate("drainReturnsInTime", "%s: Drain took %v", g.name, took)
	}
}

// stop ends the process; with kill it ends without a goodbye.
func (g *registrant) stop(kill bool) {
	if g.over {
		return
	}
	g.over = true
	clear(g.wants)
	if kill {
		g.way.kill()
	}
	began := time.Now()
	_ = g.plugin.Stop() // never fails
	if took := time.Since(began); took > 2*time.Second {
		g.run.violate("stopReturnsInTime", "%s: Stop took %v", g.name, took)
	}
	g.run.note("%s ends, killed: %v", g.name, kill)
}
