package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
)

const (
	callers     = 4                    // of each consumer, with an XClient each
	thinkTime   = 5 * time.Millisecond // of a caller between two calls
	callTimeout = 5 * time.Second
)

// consumer is a program that uses the service: one Discovery, a pool of XClients on it with one Selector, and callers that call all the time.
type consumer struct {
	discovery *zkdiscovery.Discovery
	feed      *feed
	ledger    *ledger
	selector  *selector.Selector
	pool      *selector.XClientPool
	end       chan struct{} // closed by close: the callers finish the call that they are at
	calls     sync.WaitGroup
}

// startConsumer is what a program does at its start. heard is told what arrives of the list, avoided which server's calls go elsewhere
// from now on and why; now is the phase that calls are counted in.
func startConsumer(z zookeeper, cacheDir string, now *atomic.Int32, heard func(view), avoided func(server, why string)) (*consumer, error) {
	c := &consumer{feed: newFeed(heard), ledger: &ledger{now: now}, end: make(chan struct{})}
	var err error
	c.selector, err = selector.New(
		selector.WithPolicy(selector.WeightedRoundRobin), // so that the calls can be seen to follow the weights
		selector.WithLive(func() bool { return c.discovery.Snapshot().Source == zkdiscovery.Live }),
		selector.WithLogger(silence),
		selector.WithObserver(selector.Observer{Changed: func(change selector.Change) {
			metadata, listed := c.feed.current().servers[change.Key]
			used := change.From == selector.Up || change.From == selector.Fresh // which it is while it is asked, after its connection has broken
			if listed && used && (change.To == selector.Aside || change.To == selector.Ejected) {
				avoided(describe(map[string]string{change.Key: metadata}), change.Reason.String())
			}
		}}))
	if err != nil {
		return nil, err
	}
	c.discovery, err = zkdiscovery.New(z.base(), servicePath, z.servers(),
		zkdiscovery.WithCacheDir(cacheDir),
		zkdiscovery.WithSessionTimeout(sessionTimeout),
		zkdiscovery.WithLogger(silence),
		zkdiscovery.WithObserver(c.feed.observer()))
	if err != nil {
		return nil, errors.Join(err, c.selector.Close())
	}
	c.feed.follow(c.discovery)

	// An XClient for each caller, because rpcx v1.9.4 has a data race where several have a call under way on a connection that breaks
	// (client.go:782 and 874 write the error that another goroutine reads).
	c.pool = selector.NewXClientPool(callers, servicePath, client.Failover, c.discovery, client.DefaultOption, c.selector)
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

// picks is how often a server was chosen for a call.
func (c *consumer) picks(key string) int {
	for _, server := range c.selector.Status().Servers {
		if server.Key == key {
			return int(server.Picks) //nolint:gosec // far less
		}
	}
	return 0
}

// close ends everything, in the order that a program needs: the calls, the XClients, and only then what they use and do not close.
func (c *consumer) close() {
	close(c.end)
	c.calls.Wait()
	c.pool.Close()
	_ = c.selector.Close() // never fails
	c.feed.close(c.discovery)
	c.discovery.Close()
}
