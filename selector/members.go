package selector

import (
	"sync/atomic"

	"github.com/smallnest/rpcx/client"
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
