package selector

import (
	"context"
	"net"
	"slices"
	"sync/atomic"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// plugins is the container that a wrapped XClient has for ever. It hears first what the selector needs, whatever the user's plugins make of it,
// and hands everything on to the user's container, which may be changed at any time: rpcx captures the container when a connection is made.
type plugins struct {
	x    *xclient
	user atomic.Pointer[client.PluginContainer]
}

var _ client.PluginContainer = (*plugins)(nil)

// set makes c the user's container; nil means no plugins.
func (p *plugins) set(c client.PluginContainer) {
	if c == nil {
		c = client.NewPluginContainer()
	}
	p.user.Store(&c)
}

func (p *plugins) get() client.PluginContainer { return *p.user.Load() }

// Add, Remove and All work on the user's container.
func (p *plugins) Add(plugin client.Plugin)    { p.get().Add(plugin) }
func (p *plugins) Remove(plugin client.Plugin) { p.get().Remove(plugin) }
func (p *plugins) All() []client.Plugin        { return p.get().All() }

// DoPreCall is called before each attempt. What the user's plugins take is not the server's time.
func (p *plugins) DoPreCall(ctx context.Context, servicePath, serviceMethod string, args any) error {
	h := p.x.holderOf(ctx)
	if h != nil && h.all == nil {
		h.sent = true
	}
	err := p.get().DoPreCall(ctx, servicePath, serviceMethod, args)
	switch {
	case h == nil:
	case err == nil:
		h.started()
	case h.all == nil:
		h.err = err
	}
	return err
}

// DoPostCall is called after each attempt that DoPreCall let pass.
func (p *plugins) DoPostCall(ctx context.Context, servicePath, serviceMethod string, args, reply any, err error) error {
	if h := p.x.holderOf(ctx); h != nil {
		h.answered(args, reply, err)
	}
	return p.get().DoPostCall(ctx, servicePath, serviceMethod, args, reply, err)
}

// DoConnCreateFailed is called when a server could not be dialled, with the XClient's lock held.
func (p *plugins) DoConnCreateFailed(network, address string) {
	p.x.observe(network+"@"+address, health.Undialled, 0)
	if network == "tcp" { // which rpcx takes an address without a network for
		p.x.observe(address, health.Undialled, 0)
	}
	p.get().DoConnCreateFailed(network, address)
}

// DoClientConnectionClose is called once for each connection that ends, with its lock held.
func (p *plugins) DoClientConnectionClose(conn net.Conn) error {
	p.x.disconnected(conn)
	return p.get().DoClientConnectionClose(conn)
}

// DoWrapSelect is called for each selection. A plugin that wraps Select may have another opinion than ours.
func (p *plugins) DoWrapSelect(fn client.SelectFunc) client.SelectFunc {
	user := p.get()
	wrapped := user.DoWrapSelect(fn)
	if !slices.ContainsFunc(user.All(), wrapsSelect) {
		return wrapped
	}
	return func(ctx context.Context, servicePath, serviceMethod string, args any) string {
		key := wrapped(ctx, servicePath, serviceMethod, args)
		if h := p.x.holderOf(ctx); h != nil {
			h.selected(key)
		}
		return key
	}
}

func wrapsSelect(plugin client.Plugin) bool {
	_, ok := plugin.(client.SelectNodePlugin)
	return ok
}

// What follows is the user's alone.

func (p *plugins) DoConnCreated(conn net.Conn) (net.Conn, error) { return p.get().DoConnCreated(conn) }

func (p *plugins) DoClientConnected(conn net.Conn) (net.Conn, error) {
	return p.get().DoClientConnected(conn)
}

func (p *plugins) DoClientBeforeEncode(m *protocol.Message) error {
	return p.get().DoClientBeforeEncode(m)
}

func (p *plugins) DoClientAfterDecode(m *protocol.Message) error {
	return p.get().DoClientAfterDecode(m)
}
