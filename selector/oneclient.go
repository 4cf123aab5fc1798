package selector

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
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
	serverMessages chan<- *protocol.Message
	selectors      *selectors
	sharedWithPool bool // selectors is the pool's to close

	mu       sync.Mutex // guards what follows, and is held for map accesses only
	services map[string]*service
	auth     string
	plugins  client.PluginContainer
	closed   bool
}

// service is one service of a OneClient.
type service struct {
	making chan struct{} // holds a token while one caller makes the XClient, which takes as long as Clone does
	xc     atomic.Pointer[xclient]
	spare  client.ServiceDiscovery // its clone, when the XClient could not be made; OneClient.mu guards it
}

// NewOneClient returns a client of all services that discovery can be cloned for. newSelector makes their selectors; nil stands for New
// without options. It panics when discovery is nil.
func NewOneClient(failMode client.FailMode, discovery client.ServiceDiscovery, option client.Option, newSelector ForService) *OneClient {
	return newOneClient(failMode, discovery, option, &selectors{make: newSelector}, nil)
}

// NewBidirectionalOneClient is NewOneClient for a client that receives messages of the servers'.
func NewBidirectionalOneClient(failMode client.FailMode, discovery client.ServiceDiscovery, option client.Option, newSelector ForService,
	serverMessages chan<- *protocol.Message,
) *OneClient {
	return newOneClient(failMode, discovery, option, &selectors{make: newSelector}, serverMessages)
}

func newOneClient(failMode client.FailMode, discovery client.ServiceDiscovery, option client.Option, s *selectors,
	serverMessages chan<- *protocol.Message,
) *OneClient {
	if discovery == nil {
		panic("selector: a OneClient needs a ServiceDiscovery, not nil")
	}
	return &OneClient{
		failMode: failMode, discovery: discovery, option: option, serverMessages: serverMessages, selectors: s,
		services: make(map[string]*service),
	}
}

// Service returns the XClient of a service, as it is used for calls. It stays the OneClient's: Close closes it.
func (c *OneClient) Service(servicePath string) (client.XClient, error) {
	x, err := c.xclient(context.Background(), servicePath)
	if err != nil {
		return nil, err // and no nil *xclient, which is no nil XClient
	}
	return x, nil
}

// xclient returns the XClient of a service. The first caller makes it, and waits as long as the discovery's Clone does. Those who come meanwhile wait
// too, but no longer than their ctx lasts. Calls of other services wait for nobody.
func (c *OneClient) xclient(ctx context.Context, servicePath string) (*xclient, error) {
	c.mu.Lock()
	s := c.services[servicePath]
	if c.closed && (s == nil || s.xc.Load() == nil) {
		c.mu.Unlock()
		return nil, client.ErrXClientShutdown
	}
	if s == nil {
		s = &service{making: make(chan struct{}, 1)}
		c.services[servicePath] = s
	}
	c.mu.Unlock()
	if x := s.xc.Load(); x != nil {
		return x, nil
	}

	select {
	case s.making <- struct{}{}:
		defer func() { <-s.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if x := s.xc.Load(); x != nil {
		return x, nil
	}
	c.mu.Lock()
	d := s.spare
	s.spare = nil
	c.mu.Unlock()
	if d == nil {
		var err error
		if d, err = c.discovery.Clone(servicePath); err != nil {
			return nil, err
		}
	}
	sel, err := c.selectors.of(servicePath, d)
	if err != nil {
		c.keep(s, d)
		return nil, err
	}
	x := newXClient(servicePath, c.failMode, d, c.option, sel, c.serverMessages)

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.Join(client.ErrXClientShutdown, x.Close())
	}
	if c.plugins != nil {
		x.SetPlugins(c.plugins)
	}
	if c.auth != "" {
		x.Auth(c.auth)
	}
	s.xc.Store(x)
	return x, nil
}

// keep keeps a clone that nobody uses yet for the next call, unless there will be none.
func (c *OneClient) keep(s *service, d client.ServiceDiscovery) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		s.spare = d
	}
	c.mu.Unlock()
	if closed {
		d.Close()
	}
}

// Call is XClient's.
func (c *OneClient) Call(ctx context.Context, servicePath, serviceMethod string, args, reply any) error {
	x, err := c.xclient(ctx, servicePath)
	if err != nil {
		return err
	}
	return x.Call(ctx, serviceMethod, args, reply)
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
	x, err := c.xclient(ctx, servicePath)
	if err != nil {
		return err
	}
	return x.Oneshot(ctx, serviceMethod, args)
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
	x, err := c.xclient(ctx, servicePath)
	if err != nil {
		return err
	}
	return x.Broadcast(ctx, serviceMethod, args, reply)
}

// Fork is XClient's.
func (c *OneClient) Fork(ctx context.Context, servicePath, serviceMethod string, args, reply any) error {
	x, err := c.xclient(ctx, servicePath)
	if err != nil {
		return err
	}
	return x.Fork(ctx, serviceMethod, args, reply)
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
	x, err := c.xclient(ctx, share.SendFileServiceName)
	if err != nil {
		return err
	}
	return x.SendFile(ctx, fileName, rateInBytesPerSecond, meta)
}

// DownloadFile is XClient's, for rpcx's file service.
func (c *OneClient) DownloadFile(ctx context.Context, requestFileName string, saveTo io.Writer, meta map[string]string) error {
	x, err := c.xclient(ctx, share.SendFileServiceName)
	if err != nil {
		return err
	}
	return x.DownloadFile(ctx, requestFileName, saveTo, meta)
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
	c.mu.Lock()
	defer c.mu.Unlock()
	c.auth = auth
	for x := range c.made() {
		x.Auth(auth)
	}
}

// SetPlugins makes plugins those of all services, at any time. nil means none.
func (c *OneClient) SetPlugins(plugins client.PluginContainer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plugins = plugins
	for x := range c.made() {
		x.SetPlugins(plugins)
	}
}

// GetPlugins returns what SetPlugins was given.
func (c *OneClient) GetPlugins() client.PluginContainer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plugins
}

// made yields the XClients that there are. The caller holds mu.
func (c *OneClient) made() func(yield func(*xclient) bool) {
	return func(yield func(*xclient) bool) {
		for _, s := range c.services {
			if x := s.xc.Load(); x != nil && !yield(x) {
				return
			}
		}
	}
}

// Close closes the XClients and then the selectors, and returns when what they have started has ended. The discovery stays open. Calls fail with
// client.ErrXClientShutdown from now on. Its error tells of connections that were broken before.
func (c *OneClient) Close() error {
	c.mu.Lock()
	c.closed = true
	var xs []*xclient
	for x := range c.made() {
		xs = append(xs, x)
	}
	var spare []client.ServiceDiscovery
	for _, s := range c.services {
		if s.spare != nil {
			spare = append(spare, s.spare)
			s.spare = nil
		}
	}
	c.mu.Unlock()
	for _, d := range spare {
		d.Close()
	}
	var errs []error
	for _, x := range xs {
		errs = append(errs, x.Close())
	}
	if !c.sharedWithPool {
		errs = append(errs, c.selectors.close())
	}
	return errors.Join(errs...)
}
