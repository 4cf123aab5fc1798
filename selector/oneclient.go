package selector

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/share"
)

// ForService makes the selector of a service, from the discovery that was cloned for it: of a zkdiscovery.Discovery, its Snapshot tells
// WithLive whether the list is live. It is called once per service that is called, again if it has failed.
type ForService func(servicePath string, discovery client.ServiceDiscovery) (*Selector, error)

// OneClient is client.OneClient with a Selector per service: XClients of many services on one Discovery, each made and wrapped when its service
// is first called. A service whose discovery or selector cannot be had fails its own calls only, and is tried again with the next.
type OneClient struct {
	failMode       client.FailMode
	discovery      client.ServiceDiscovery
	option         client.Option
	newSelector    ForService
	serverMessages chan<- *protocol.Message

	clones    services[*clone]
	selectors *services[*Selector] // own, or those of the pool
	own       services[*Selector]
	xclients  services[client.XClient]

	auth    string // xclients.mu guards it, and plugins
	plugins client.PluginContainer
}

// clone is the discovery that was cloned for a service.
type clone struct {
	client.ServiceDiscovery
	taken atomic.Bool // it is the XClient's, or closed
}

// Close closes a clone that no XClient has.
func (c *clone) Close() error {
	if c.taken.CompareAndSwap(false, true) {
		c.ServiceDiscovery.Close()
	}
	return nil
}

// NewOneClient returns a client of all services that discovery can be cloned for. newSelector makes their selectors; nil stands for New
// without options. It panics when discovery is nil.
func NewOneClient(failMode client.FailMode, discovery client.ServiceDiscovery, option client.Option, newSelector ForService) *OneClient {
	return NewBidirectionalOneClient(failMode, discovery, option, newSelector, nil)
}

// NewBidirectionalOneClient is NewOneClient for a client that receives messages of the servers'.
func NewBidirectionalOneClient(failMode client.FailMode, discovery client.ServiceDiscovery, option client.Option, newSelector ForService,
	serverMessages chan<- *protocol.Message,
) *OneClient {
	if discovery == nil {
		panic("selector: a OneClient needs a ServiceDiscovery, not nil")
	}
	c := &OneClient{failMode: failMode, discovery: discovery, option: option, newSelector: newSelector, serverMessages: serverMessages}
	c.selectors = &c.own
	c.xclients.admit = func(x client.XClient) {
		if c.plugins != nil {
			x.SetPlugins(c.plugins)
		}
		if c.auth != "" {
			x.Auth(c.auth)
		}
	}
	return c
}

// Service returns the XClient of a service, as it is used for calls. It stays the OneClient's: Close closes it.
func (c *OneClient) Service(servicePath string) (client.XClient, error) {
	return c.xclient(context.Background(), servicePath)
}

// xclient returns the XClient of a service. Who makes it waits as long as the discovery's Clone and ForService do. A clone is kept when ForService fails.
func (c *OneClient) xclient(ctx context.Context, servicePath string) (client.XClient, error) {
	return c.xclients.of(ctx, servicePath, func() (client.XClient, error) {
		d, err := c.clones.of(ctx, servicePath, func() (*clone, error) {
			d, err := c.discovery.Clone(servicePath)
			return &clone{ServiceDiscovery: d}, err
		})
		if err != nil {
			return nil, err
		}
		s, err := c.selectors.of(ctx, servicePath, func() (*Selector, error) { return c.selector(servicePath, d.ServiceDiscovery) })
		if err != nil {
			return nil, err
		}
		if !d.taken.CompareAndSwap(false, true) {
			return nil, client.ErrXClientShutdown
		}
		return NewBidirectionalXClient(servicePath, c.failMode, d.ServiceDiscovery, c.option, s, c.serverMessages), nil
	})
}

func (c *OneClient) selector(servicePath string, d client.ServiceDiscovery) (*Selector, error) {
	if c.newSelector == nil {
		return New()
	}
	s, err := c.newSelector(servicePath, d)
	if s == nil && err == nil {
		err = errors.New("selector: no selector was made for " + servicePath)
	}
	return s, err
}

// at makes a call of a service.
func (c *OneClient) at(ctx context.Context, servicePath string, call func(client.XClient) error) error {
	x, err := c.xclient(ctx, servicePath)
	if err != nil {
		return err
	}
	return call(x)
}

// Call is XClient's.
func (c *OneClient) Call(ctx context.Context, servicePath, serviceMethod string, args, reply any) error {
	return c.at(ctx, servicePath, func(x client.XClient) error { return x.Call(ctx, serviceMethod, args, reply) })
}

// Go is XClient's.
func (c *OneClient) Go(ctx context.Context, servicePath, serviceMethod string, args, reply any, done chan *client.Call) (*client.Call, error) {
	x, err := c.xclient(ctx, servicePath)
	if err != nil {
		return nil, err
	}
	return x.Go(ctx, serviceMethod, args, reply, done)
}

// Oneshot is XClient's.
func (c *OneClient) Oneshot(ctx context.Context, servicePath, serviceMethod string, args any) error {
	return c.at(ctx, servicePath, func(x client.XClient) error { return x.Oneshot(ctx, serviceMethod, args) })
}

// SendRaw is XClient's, for the service that the message names.
func (c *OneClient) SendRaw(ctx context.Context, r *protocol.Message) (map[string]string, []byte, error) {
	x, err := c.xclient(ctx, r.ServicePath)
	if err != nil {
		return nil, nil, err
	}
	return x.SendRaw(ctx, r)
}

// Broadcast is XClient's.
func (c *OneClient) Broadcast(ctx context.Context, servicePath, serviceMethod string, args, reply any) error {
	return c.at(ctx, servicePath, func(x client.XClient) error { return x.Broadcast(ctx, serviceMethod, args, reply) })
}

// Fork is XClient's.
func (c *OneClient) Fork(ctx context.Context, servicePath, serviceMethod string, args, reply any) error {
	return c.at(ctx, servicePath, func(x client.XClient) error { return x.Fork(ctx, serviceMethod, args, reply) })
}

// Inform is XClient's.
func (c *OneClient) Inform(ctx context.Context, servicePath, serviceMethod string, args, reply any) ([]client.Receipt, error) {
	x, err := c.xclient(ctx, servicePath)
	if err != nil {
		return nil, err
	}
	return x.Inform(ctx, serviceMethod, args, reply)
}

// SendFile is XClient's, for rpcx's file service.
func (c *OneClient) SendFile(ctx context.Context, fileName string, rateInBytesPerSecond int64, meta map[string]string) error {
	return c.at(ctx, share.SendFileServiceName, func(x client.XClient) error { return x.SendFile(ctx, fileName, rateInBytesPerSecond, meta) })
}

// DownloadFile is XClient's, for rpcx's file service.
func (c *OneClient) DownloadFile(ctx context.Context, requestFileName string, saveTo io.Writer, meta map[string]string) error {
	return c.at(ctx, share.SendFileServiceName, func(x client.XClient) error { return x.DownloadFile(ctx, requestFileName, saveTo, meta) })
}

// Stream is XClient's, for rpcx's stream service.
func (c *OneClient) Stream(ctx context.Context, meta map[string]string) (net.Conn, error) {
	x, err := c.xclient(ctx, share.StreamServiceName)
	if err != nil {
		return nil, err
	}
	return x.Stream(ctx, meta)
}

// Auth sets the token of all services. Call it before the first call.
func (c *OneClient) Auth(auth string) {
	c.xclients.mu.Lock()
	defer c.xclients.mu.Unlock()
	c.auth = auth
	for _, x := range c.xclients.all() {
		x.Auth(auth)
	}
}

// SetPlugins makes plugins those of all services, at any time. nil means none.
func (c *OneClient) SetPlugins(plugins client.PluginContainer) {
	c.xclients.mu.Lock()
	defer c.xclients.mu.Unlock()
	c.plugins = plugins
	for _, x := range c.xclients.all() {
		x.SetPlugins(plugins)
	}
}

// GetPlugins returns what SetPlugins was given.
func (c *OneClient) GetPlugins() client.PluginContainer {
	c.xclients.mu.Lock()
	defer c.xclients.mu.Unlock()
	return c.plugins
}

// Close closes the XClients and then the selectors, and returns when what they have started has ended. The discovery stays open. Calls fail with
// client.ErrXClientShutdown from now on. Its error tells of connections that were broken before.
func (c *OneClient) Close() error {
	return errors.Join(c.xclients.close(), c.clones.close(), c.own.close())
}
