package selector

import (
	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
)

// OneClientPool is client.OneClientPool with a Selector per service, which the members share.
type OneClientPool struct {
	members[*OneClient]
	selectors *services[*Selector]
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
	p := &OneClientPool{selectors: &services[*Selector]{}}
	for range count {
		c := NewBidirectionalOneClient(failMode, discovery, option, newSelector, serverMessages)
		c.selectors, c.sharedWithPool = p.selectors, true
		p.all = append(p.all, c)
	}
	return p
}

// Get returns one of the OneClients, in turn. It stays the pool's: other callers have it at the same time, and Close closes it.
func (p *OneClientPool) Get() *OneClient { return p.take() }

// Close closes the OneClients and then the selectors, and returns when what they have started has ended. The discovery stays open.
func (p *OneClientPool) Close() {
	p.members.Close()
	_ = p.selectors.close()
}
