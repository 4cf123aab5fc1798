package main

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

const (
	callers     = 4                    // of each consumer, with an XClient each
	thinkTime   = 5 * time.Millisecond // of a caller between two calls
	callTimeout = 5 * time.Second
)

// consumer is a program that uses the service: one Discovery, a pool of XClients on it, and callers that call all the time.
type consumer struct {
	discovery *zkdiscovery.Discovery
	feed      *feed
	ledger    *ledger
	pool      *client.XClientPool
	end       chan struct{} // closed by close: the callers finish the call that they are at
	calls     sync.WaitGroup
}

// startConsumer is what a program does at its start. heard is told what arrives of the list, now is the phase that calls are counted in.
func startConsumer(z zookeeper, cacheDir string, now *atomic.Int32, heard func(view)) (*consumer, error) {
	c := &consumer{feed: newFeed(heard), ledger: &ledger{now: now}, end: make(chan struct{})}
	var err error
	c.discovery, err = zkdiscovery.New(z.base(), servicePath, z.servers(),
		zkdiscovery.WithCacheDir(cacheDir),
		zkdiscovery.WithSessionTimeout(sessionTimeout),
		zkdiscovery.WithObserver(c.feed.observer()))
	if err != nil {
		return nil, err
	}
	c.feed.follow(c.discovery)

	// An XClient for each caller, because rpcx v1.9.4 has a data race where several have a call under way on a connection that breaks
	// (client.go:782 and 874 write the error that another goroutine reads).
	c.pool = client.NewXClientPool(callers, servicePath, client.Failover, client.WeightedRoundRobin, c.discovery, client.DefaultOption)
	for range callers {
		xclient := c.pool.Get()
		c.calls.Go(func() { c.callOn(xclient) })
	}
	return c, nil
}

// callOn is a caller.
func (c *consumer) callOn(xclient client.XClient) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-c.end:
			return
		case <-pause.C:
		}
		phase, began := c.ledger.phase(), time.Now()
		server, err := call(context.Background(), xclient)
		c.ledger.add(phase, server, time.Since(began), err)
		pause.Reset(thinkTime)
	}
}

// call makes one call and returns which server has answered.
func call(ctx context.Context, xclient client.XClient) (server string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var reply Greeting
	if err := xclient.Call(ctx, "Greet", &Question{Name: "kelp"}, &reply); err != nil {
		return "", err
	}
	return reply.Server, nil
}

// callUntilAnswered returns when a call of every XClient has succeeded: then each has a list with which one can. They read the list from a
// channel as the feed does, perhaps a moment later.
func (c *consumer) callUntilAnswered(ctx context.Context) error {
	again := time.NewTicker(thinkTime)
	defer again.Stop()
	for range callers {
		xclient := c.pool.Get()
		for {
			_, err := call(ctx, xclient)
			if err == nil {
				break
			}
			select {
			case <-again.C:
			case <-ctx.Done():
				return fmt.Errorf("no call succeeds: %w", err)
			}
		}
	}
	return nil
}

// has reports whether the list names exactly these servers, with this metadata.
func (c *consumer) has(servers map[string]string) bool {
	return maps.Equal(metadataOf(c.discovery.Snapshot()), servers)
}

// metadataOf is a snapshot's metadata by key.
func metadataOf(s zkdiscovery.Snapshot) map[string]string {
	servers := make(map[string]string)
	for _, p := range s.Servers {
		servers[p.Key] = p.Value
	}
	return servers
}

// close ends everything, in the order that a program needs: the calls, the XClients, and only then the Discovery, which rpcx does not close.
func (c *consumer) close() {
	close(c.end)
	c.calls.Wait()
	c.pool.Close()
	c.feed.close(c.discovery)
	c.discovery.Close()
}
