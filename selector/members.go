package selector

import (
	"sync/atomic"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
)

// members are the clients of a pool.
type members[C member] struct {
	all  []C
	next atomic.Uint64
}

type member interface {
	Auth(auth string)
	SetPlugins(plugins client.PluginContainer)
	GetPlugins() client.PluginContainer
	Close() error
}

// take returns one of the clients, in turn.
func (m *members[C]) take() C { return m.all[m.next.Add(1)%uint64(len(m.all))] }

// Auth sets the token of all clients. Call it before the first call.
func (m *members[C]) Auth(auth string) {
	for _, c := range m.all {
		c.Auth(auth)
	}
}

// SetPlugins makes plugins those of all clients, at any time. nil means none.
func (m *members[C]) SetPlugins(plugins client.PluginContainer) {
	for _, c := range m.all {
		c.SetPlugins(plugins)
	}
}

// GetPlugins returns the plugins of the first client, which are everybody's after SetPlugins.
func (m *members[C]) GetPlugins() client.PluginContainer { return m.all[0].GetPlugins() }

// Close closes the clients and returns when what they have started has ended. What they say to it tells of connections that were broken before, and is
// not returned. The discovery stays open, and so does a Selector that was given to the pool.
func (m *members[C]) Close() {
	for _, c := range m.all {
		_ = c.Close()
	}
}

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

// OneClientPool is client.OneClientPool with a Selector per service, which the members share.
type OneClientPool struct {
	members[*OneClient]
	selectors services[*Selector]
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
	p := &OneClientPool{}
	for range count {
		c := NewBidirectionalOneClient(failMode, discovery, option, newSelector, serverMessages)
		c.selectors = &p.selectors
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
