package selector

import (
	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
)

// XClientPool is client.XClientPool with a Selector: wrapped XClients on one Discovery, which share what they know of its servers.
type XClientPool struct{ members[client.XClient] }

// NewXClientPool returns a pool of count XClients with the selector s, which stays the caller's to close. It panics when count is not positive,
// or discovery or s is nil.
func NewXClientPool(count int, servicePath string, failMode client.FailMode, discovery client.ServiceDiscovery,
	option client.Option, s *Selector,
) *XClientPool {
	return NewBidirectionalXClientPool(count, servicePath, failMode, discovery, option, s, nil)
}

// NewBidirectionalXClientPool is NewXClientPool for XClients that receive messages of the servers'.
func NewBidirectionalXClientPool(count int, servicePath string, failMode client.FailMode, discovery client.ServiceDiscovery,
	option client.Option, s *Selector, serverMessages chan<- *protocol.Message,
) *XClientPool {
	if count <= 0 {
		panic("selector: a pool needs at least one XClient")
	}
	p := &XClientPool{}
	for range count {
		p.all = append(p.all, NewBidirectionalXClient(servicePath, failMode, discovery, option, s, serverMessages))
	}
	return p
}

// Get returns one of the XClients, in turn. It stays the pool's: other callers have it at the same time, and Close closes it.
func (p *XClientPool) Get() client.XClient { return p.take() }
