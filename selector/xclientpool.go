package selector

import (
	"sync/atomic"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
)

// XClientPool is client.XClientPool with a Selector: wrapped XClients on one Discovery, which share what they know of its servers.
type XClientPool struct {
	members []*xclient
	next    atomic.Uint64
}

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
	switch {
	case count <= 0:
		panic("selector: a pool needs at least one XClient")
	case discovery == nil:
		panic("selector: a pool needs a ServiceDiscovery, not nil")
	case s == nil:
		panic("selector: a pool needs a Selector, not nil: make one with New")
	}
	p := &XClientPool{members: make([]*xclient, count)}
	for i := range p.members {
		p.members[i] = newXClient(servicePath, failMode, discovery, option, s, serverMessages)
	}
	return p
}

// Get returns one of the XClients, in turn. It stays the pool's: other callers have it at the same time, and Close closes it.
func (p *XClientPool) Get() client.XClient {
	return p.members[p.next.Add(1)%uint64(len(p.members))]
}

// Auth sets the token of all XClients. Call it before the first call.
func (p *XClientPool) Auth(auth string) {
	for _, x := range p.members {
		x.Auth(auth)
	}
}

// SetPlugins makes plugins those of all XClients, at any time. nil means none.
func (p *XClientPool) SetPlugins(plugins client.PluginContainer) {
	for _, x := range p.members {
		x.SetPlugins(plugins)
	}
}

// GetPlugins returns the plugins of the first XClient, which are everybody's after SetPlugins.
func (p *XClientPool) GetPlugins() client.PluginContainer { return p.members[0].GetPlugins() }

// Close closes the XClients and returns when what they have started has ended. Discovery and Selector stay open. What XClients say to it tells of
// connections that were broken before, and is not returned.
func (p *XClientPool) Close() {
	for _, x := range p.members {
		_ = x.Close()
	}
}
