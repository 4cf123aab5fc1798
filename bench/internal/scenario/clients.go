package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// clients has many clients follow one service on the in-process server, which counts. They are this process's: what is measured is no time.
var clients = Scenario{
	Number: 11, Name: "clients", Title: "many clients: what a rolling update costs ZooKeeper, per client", Clients: true,
	Steps: func(Plan) int { return 2 * len(clientModes) },
	Run: func(ctx context.Context, e *Env) error {
		for _, m := range clientModes {
			if err := e.clients(ctx, m.name, m.opts...); err != nil {
				return err
			}
		}
		return nil
	},
}

// clientModes are the ways in which a client can follow a service.
var clientModes = []struct {
	name string
	opts []zkdiscovery.Option
}{
	{contender.Holdfast, nil},
	{contender.OneShot, []zkdiscovery.Option{zkdiscovery.WithoutWireExtension()}},
	{contender.MembersOnly, []zkdiscovery.Option{zkdiscovery.WithoutMetadataWatch()}},
}

// clients has clients with these options start, and replaces instances of their service.
func (e *Env) clients(ctx context.Context, name string, opts ...zkdiscovery.Option) error {
	server := zktest.NewServer()
	defer server.Close()
	const path = "/rpcx/Arith/"
	for i := range e.Plan.ClientSize {
		if err := server.Put(path+registry.Key(i), []byte(registry.Metadata)); err != nil {
			return err
		}
	}
	e.Step(fmt.Sprintf("%d clients of %d instances start: %s", e.Plan.Clients, e.Plan.ClientSize, name))
	all, err := simulate(ctx, server, e.Plan.Clients, opts)
	defer func() {
		var closing sync.WaitGroup
		for _, d := range all {
			closing.Go(d.Close)
		}
		closing.Wait()
	}()
	if err != nil {
		return err
	}
	record := func(measure string, unit result.Unit, v float64) {
		e.record(result.Cell{
			Scenario: 11, Measure: measure + ", per client", Instances: e.Plan.ClientSize, Case: fmt.Sprintf("%d clients", e.Plan.Clients),
			Contender: name, Unit: unit, Series: stats.Series{Values: []float64{v}},
		})
	}
	started := server.Stats()
	record("requests to start", result.Count, float64(started.Total())/float64(len(all)))
	record("bytes to start", result.Bytes, float64(started.BytesOut)/float64(len(all)))
	record("watches", result.Count, float64(started.Watches)/float64(len(all)))

	e.Step("a rolling update of their service")
	for i := range e.Plan.ClientChanges {
		if err := server.Put(path+registry.Key(e.Plan.ClientSize+i), []byte(registry.Metadata)); err != nil {
			return err
		}
		if err := allKnow(ctx, all, registry.Key(e.Plan.ClientSize+i), true); err != nil {
			return err
		}
		if err := server.Delete(path + registry.Key(i)); err != nil {
			return err
		}
		if err := allKnow(ctx, all, registry.Key(i), false); err != nil {
			return err
		}
	}
	d := server.Stats().Since(started)
	each := func(n int64) float64 { return float64(n) / float64(len(all)) / float64(e.Plan.ClientChanges) }
	record("requests per replaced instance", result.Count, each(d.Total()))
	record("notifications per replaced instance", result.Count, each(d.Notifications))
	record("bytes from ZooKeeper per replaced instance", result.Bytes, each(d.BytesOut))
	record("bytes to ZooKeeper per replaced instance", result.Bytes, each(d.BytesIn))
	return nil
}

// simulate starts clients, some at a time. Those that have started are returned also with an error.
func simulate(ctx context.Context, server *zktest.Server, n int, opts []zkdiscovery.Option) ([]*zkdiscovery.Discovery, error) {
	var mu sync.Mutex
	var all []*zkdiscovery.Discovery
	var errs []error
	var starting sync.WaitGroup
	todo := make(chan struct{})
	for range 8 {
		starting.Go(func() {
			for range todo {
				d, err := zkdiscovery.New("rpcx", "Arith", []string{"zookeeper:2181"}, append(slices.Clip(opts), zkdiscovery.WithDialer(server.Dial),
					zkdiscovery.WithoutCache(), zkdiscovery.WithSessionTimeout(40*time.Second), zkdiscovery.WithStartTimeout(30*time.Second))...)
				mu.Lock()
				if err == nil {
					all = append(all, d)
				} else {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	for range n {
		select {
		case todo <- struct{}{}:
		case <-ctx.Done():
		}
	}
	close(todo)
	starting.Wait()
	return all, errors.Join(errors.Join(errs...), ctx.Err())
}

// allKnow waits until every client lists an instance, or none does.
func allKnow(ctx context.Context, all []*zkdiscovery.Discovery, key string, listed bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, d := range all {
		for knows(d.GetServices(), key) != listed {
			if err := pause(ctx, time.Millisecond); err != nil {
				return fmt.Errorf("a client does not learn of %s: %w", key, err)
			}
		}
	}
	return nil
}

func knows(list []*client.KVPair, key string) bool {
	for _, p := range list {
		if p.Key == key {
			return true
		}
	}
	return false
}
