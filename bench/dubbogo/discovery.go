package main

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"dubbo.apache.org/dubbo-go/v3/common"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
	"dubbo.apache.org/dubbo-go/v3/common/extension"
	dubbo "dubbo.apache.org/dubbo-go/v3/registry"
	_ "dubbo.apache.org/dubbo-go/v3/registry/zookeeper" // which GetRegistry finds
	"dubbo.apache.org/dubbo-go/v3/remoting"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/smallnest/rpcx/client"
)

// discovery is dubbo-go's registry, whose listener keeps the list.
type discovery struct {
	registry dubbo.Registry
	ended    chan struct{} // closed when Subscribe has returned

	mu       sync.Mutex
	list     list
	watchers []chan []*client.KVPair
}

// open returns before there is a list: Subscribe tells of each provider that it finds.
func open(c contender.Config) (client.ServiceDiscovery, error) {
	u, err := common.NewURL(constant.RegistryProtocol+"://"+c.Servers[0],
		common.WithLocation(strings.Join(c.Servers, ",")),
		common.WithParamsValue(constant.RegistryKey, "zookeeper"),
		common.WithParamsValue(constant.RegistryGroupKey, c.Base),
		common.WithParamsValue(constant.RegistryTimeoutKey, c.SessionTimeout.String()),
		common.WithParamsValue(constant.ConfigTimeoutKey, c.SessionTimeout.String()), // which it asks ZooKeeper for
	)
	if err != nil {
		return nil, err
	}
	r, err := extension.GetRegistry("zookeeper", u)
	if err != nil {
		return nil, err
	}
	d := &discovery{registry: r, ended: make(chan struct{}), list: newList()}
	consumer := common.NewURLWithOptions(common.WithProtocol("consumer"), common.WithPath("/"+c.Service), common.WithInterface(c.Service))
	go func() {
		defer close(d.ended)
		_ = r.Subscribe(consumer, d) // until Destroy
	}()
	return d, nil
}

// Notify is called for one provider.
func (d *discovery) Notify(e *dubbo.ServiceEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list.take(e) {
		d.publish()
	}
}

// NotifyAll is called with all providers that there are.
func (d *discovery) NotifyAll(all []*dubbo.ServiceEvent, done func()) {
	defer done()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = newList()
	for _, e := range all {
		d.list.take(e)
	}
	d.publish()
}

// publish leaves out the oldest list where a watcher has not taken as many as its channel holds.
func (d *discovery) publish() {
	for _, ch := range d.watchers {
		for sent := false; !sent; {
			select {
			case ch <- d.list.pairs:
				sent = true
			default:
				select {
				case <-ch:
				default:
				}
			}
		}
	}
}

func (d *discovery) GetServices() []*client.KVPair {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list.pairs
}

func (d *discovery) WatchService() chan []*client.KVPair {
	d.mu.Lock()
	defer d.mu.Unlock()
	ch := make(chan []*client.KVPair, 10)
	d.watchers = append(d.watchers, ch)
	return ch
}

func (d *discovery) RemoveWatcher(ch chan []*client.KVPair) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers = slices.DeleteFunc(d.watchers, func(w chan []*client.KVPair) bool { return w == ch })
}

func (d *discovery) Close() {
	d.registry.Destroy()
	<-d.ended
}

func (d *discovery) SetFilter(client.ServiceDiscoveryFilter) {}

func (d *discovery) Clone(string) (client.ServiceDiscovery, error) {
	return nil, errors.New("this serves one service")
}

// list is what events have told of. Two providers may have the same address for a while, one whose metadata has changed: the later one counts.
type list struct {
	pairs     []*client.KVPair // never changed below its length: watchers have it
	providers map[string][]provider
}

type provider struct {
	url  string
	pair *client.KVPair
}

func newList() list { return list{providers: make(map[string][]provider)} }

// take reports whether an event changes the list.
func (l *list) take(e *dubbo.ServiceEvent) bool {
	key, url := registry.Network+e.Service.Location, e.Service.PrimitiveURL
	known := l.providers[key]
	i := slices.IndexFunc(known, func(p provider) bool { return p.url == url })
	switch {
	case e.Action == remoting.EventTypeDel && i >= 0:
		known = slices.Delete(known, i, i+1)
	case e.Action != remoting.EventTypeDel && i < 0:
		known = append(known, provider{url, &client.KVPair{Key: key, Value: e.Service.GetParam(registry.MetadataParameter, "")}})
	default:
		return false
	}
	was := l.providers[key]
	l.providers[key] = known
	switch {
	case len(was) == 0: // as most are: no need to search the list
		l.pairs = append(l.pairs, known[0].pair)
		return true
	case len(known) == 0:
		delete(l.providers, key)
	}
	return l.show(key, known)
}

// show has the list show the last of what is known by a key that it has shown before, and reports whether it did not.
func (l *list) show(key string, known []provider) bool {
	i := slices.IndexFunc(l.pairs, func(p *client.KVPair) bool { return p.Key == key })
	if len(known) == 0 {
		l.pairs = slices.Concat(l.pairs[:i], l.pairs[i+1:])
		return true
	}
	last := known[len(known)-1].pair
	if l.pairs[i] == last {
		return false
	}
	l.pairs = slices.Clone(l.pairs)
	l.pairs[i] = last
	return true
}
