// Package contender has the ways to know a service's instances that are measured beside each other, each as its users use it.
package contender

import (
	"fmt"
	"slices"
	"time"

	"github.com/smallnest/rpcx/client"
)

// The names of the contenders.
const (
	Holdfast       = "holdfast"          // this library
	Peer           = "rpcx-zookeeper"    // what it replaces
	CacheDiscovery = "CacheDiscovery"    // rpcx's file cache around rpcx-zookeeper
	Curator        = "Curator"           // Java: CuratorCache, in a program of its own
	DubboGo        = "dubbo-go"          // its registry on ZooKeeper, in a module and a program of its own, for its many dependencies
	Floor          = "one-shot floor"    // bare go-zookeeper: an event, a list, a read
	BareFloor      = "persistent floor"  // bare frames: a persistent watch, batched reads
	Uncached       = "holdfast, no file" // for what the file costs
	OneShot        = "holdfast, one-shot watches"
	MembersOnly    = "holdfast, no metadata watch"
)

// Config says what a contender is to follow.
type Config struct {
	Servers        []string
	Base           string // of rpcx: the service's path is Base/Service
	Service        string
	Dir            string // where a contender with a file keeps it; "": none does
	SessionTimeout time.Duration
}

// Contender opens discoveries. Many is nil where one connection cannot serve many services.
type Contender struct {
	Open func(Config) (client.ServiceDiscovery, error)
	Many func(c Config, services []string) ([]client.ServiceDiscovery, error)
}

// ByName finds the contenders of this program.
func ByName(name string) (Contender, error) {
	all := map[string]Contender{
		Holdfast:       {Open: openHoldfast, Many: manyHoldfast},
		Uncached:       {Open: openUncached},
		Peer:           {Open: openPeer, Many: manyPeers},
		CacheDiscovery: {Open: openCached},
		Floor:          {Open: openFloor},
		BareFloor:      {Open: openBareFloor},
		PlainJSON:      {}, // for its file only
	}
	c, ok := all[name]
	if !ok {
		return Contender{}, fmt.Errorf("no contender is called %q", name)
	}
	return c, nil
}

// Clones opens services as clones of a template.
func clones(template client.ServiceDiscovery, services []string) ([]client.ServiceDiscovery, error) {
	ds := make([]client.ServiceDiscovery, 0, len(services))
	for _, s := range services {
		d, err := template.Clone(s)
		if err != nil {
			return nil, fmt.Errorf("clone for %s: %w", s, err)
		}
		ds = append(ds, d)
	}
	return slices.Clip(ds), nil
}
