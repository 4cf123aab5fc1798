package selector

import (
	"sync/atomic"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
)

// OneClientPool is client.OneClientPool with a Selector per service, which the members share.
type OneClientPool struct {
	members   []*OneClient
	next      atomic.Uint64
	selectors *selectors
}

// NewOneClientPool returns a pool of count OneClients on one discovery. newSelector makes the selectors, with the discovery of the member
// that calls a service first; nil stands for New without options. It panics when count is not positive or discovery is nil.
func NewOneClientPool(count int, failMode client.FailMode, discovery client.ServiceDiscovery, option client.Option, newSelector ForService) *OneClientPool {
	return NewBidirectionalOneClientPool(count, failMode, discovery, option, newSelector, nil)
}

// NewBidirectionalOneClientPool is NewOneClientPool for clients that receive messages of the servers'.
func NewBidirectionalOneClientPool(count int, failMode client.FailMode, discovery client.ServiceDiscovery, option client.Option,
	newSelector ForService, serverMessages chan<- *protocol.Message,
) *OneClientPool {
	if count <= 0 {
		panic("selector: a pool needs at least one OneClient")
	}
	p := &OneClientPool{members: make([]*OneClient, count), selectors: &selectors{make: newSelector}}
	for i := range p.members {
		p.members[i] = newOneClient(failMode, discovery, option, p.selectors, serverMessages)
		p.members[i].sharedWithPool = true
	}
	return p
}

// Get returns one of the OneClients, in turn. It stays the pool's: other callers have it at the same time, and Close closes it.
func (p *OneClientPool) Get() *OneClient { return p.members[p.next.Add(1)%uint64(len(p.members))] }

// Auth sets the token of all OneClients. Call it before the first call.
func (p *OneClientPool) Auth(auth string) {
	for _, c := range p.members {
		c.Auth(auth)
	}
}

// SetPlugins makes plugins those of all OneClients, at any time. nil means none.
func (p *OneClientPool) SetPlugins(plugins client.PluginContainer) {
	for _, c := range p.members {
		c.SetPlugins(plugins)
	}
}

// GetPlugins returns what SetPlugins was given.
func (p *OneClientPool) GetPlugins() client.PluginContainer { return p.members[0].GetPlugins() }

// Close closes the OneClients and then the selectors, and returns when what they have started has ended. The discovery stays open.
func (p *OneClientPool) Close() {
	for _, c := range p.members {
		_ = c.Close() // tells of connections that were broken before
	}
	_ = p.selectors.close()
}
