package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/statuspage"
)

// status is the page of the drill's clients and servers, of those that there are at the moment.
type status struct {
	mu      sync.Mutex
	sources metrics.Sources
	server  *http.Server // nil: nobody wants to look
	served  sync.WaitGroup
}

func newStatus() *status {
	return &status{sources: metrics.Sources{
		Discoveries: make(map[string]*zkdiscovery.Discovery), Plugins: make(map[string]*serverplugin.ZooKeeperRegisterPlugin),
		Selectors: make(map[string]*selector.Selector),
	}}
}

// serve begins to serve the page on addr, and returns where it is.
func (s *status) serve(ctx context.Context, addr string) (url string, err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	s.served.Go(func() { _ = s.server.Serve(ln) }) // it ends with close
	return "http://" + ln.Addr().String() + "/", nil
}

// ServeHTTP shows those that there are now.
func (s *status) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	page := statuspage.New(s.sources)
	s.mu.Unlock()
	page.ServeHTTP(w, r)
}

// add lets f change what there is.
func (s *status) add(f func(*metrics.Sources)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.sources)
}

// client shows a client.
func (s *status) client(name string, c *consumer) {
	s.add(func(all *metrics.Sources) {
		all.Discoveries[name] = c.discovery
		all.Selectors[name] = c.selector
	})
}

func (s *status) close() error {
	if s.server == nil {
		return nil
	}
	err := s.server.Close()
	s.served.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
