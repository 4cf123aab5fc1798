package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// file measures the cache file: this library's, which is synced to the disk before it replaces the old one, and CacheDiscovery's, which is written
// in place; and what the file costs a change on its way to a watcher.
var file = Scenario{
	Number: 8, Name: "file", Title: "the file: save, load, and its cost on the delivery path",
	Sizes: true,
	Steps: func(p Plan) int { return len(p.FileSizes) + 1 },
	Run: func(ctx context.Context, e *Env) error {
		for _, n := range e.Plan.FileSizes {
			e.Step(fmt.Sprintf("the file of %d instances", n))
			if err := e.ourFile(ctx, n); err != nil {
				return err
			}
			if err := e.theirFile(ctx, n); err != nil {
				return err
			}
		}
		n := min(1_000, e.Plan.Sizes[len(e.Plan.Sizes)-1])
		e.Step(fmt.Sprintf("changes with and without the file: %d instances", n))
		return e.change(ctx, 8, condition{n: n}, []string{contender.Holdfast, contender.Uncached})
	},
}

// The measures of file, besides those of change.
const (
	Save = "save"
	Load = "load"
)

func (e *Env) recordFile(measure, name string, n int, s stats.Series, note string) {
	e.record(result.Cell{Scenario: 8, Measure: measure, Instances: n, Contender: name, Unit: result.Time, Series: s, Note: note})
}

func (e *Env) ourFile(ctx context.Context, n int) error {
	c, err := filecache.Open(e.dir(contender.Holdfast), "bench", "/rpcx/Arith")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // what it saved it has synced
	s := filecache.Snapshot{Ensemble: "bench", Service: "/rpcx/Arith", Lineage: "1"}
	for i := range n {
		s.Servers = append(s.Servers, filecache.Server{Key: registry.Key(i), Value: registry.Metadata})
	}
	var save, load stats.Series
	for round := range e.Plan.FileRounds {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.Zxid, s.AsOf = int64(round+1), time.Now()
		s.SavedAt = s.AsOf
		began := time.Now()
		if err := c.Save(s); err != nil {
			return err
		}
		save.Add(float64(time.Since(began)))
		began = time.Now()
		loaded, err := c.Load()
		if err != nil {
			return err
		}
		load.Add(float64(time.Since(began)))
		if len(loaded.Servers) != n {
			return fmt.Errorf("%d of %d instances were loaded", len(loaded.Servers), n)
		}
	}
	e.recordFile(Save, contender.Holdfast, n, save, "")
	e.recordFile(Load, contender.Holdfast, n, load, "")
	return nil
}

// fixed is a discovery that always lists the same.
type fixed struct {
	client.ServiceDiscovery
	pairs []*client.KVPair
}

func (f fixed) GetServices() []*client.KVPair { return f.pairs }

func (e *Env) theirFile(ctx context.Context, n int) error {
	var d fixed
	for i := range n {
		d.pairs = append(d.pairs, &client.KVPair{Key: registry.Key(i), Value: registry.Metadata})
	}
	path := filepath.Join(e.dir(contender.CacheDiscovery), "discovery.json")
	var save, load stats.Series
	note := ""
	for range e.Plan.FileRounds {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		began := time.Now()
		client.CacheDiscovery(0, path, d).GetServices() // which saves, as it knows of nobody yet
		save.Add(float64(time.Since(began)))
		began = time.Now()
		if got := client.CacheDiscovery(0, path, fixed{}).GetServices(); len(got) == n {
			load.Add(float64(time.Since(began)))
		} else {
			load.Failed++
			note = fmt.Sprintf("of %d instances in the file %d are returned: rpcx v1.9.4 drops what it has read", n, len(got))
		}
	}
	if _, err := os.Stat(path); err != nil {
		return err
	}
	e.recordFile(Save, contender.CacheDiscovery, n, save, "")
	e.recordFile(Load, contender.CacheDiscovery, n, load, note)
	return nil
}
