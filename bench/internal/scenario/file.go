package scenario

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
)

// file measures the cache file: this library's, which is synced to the disk before it replaces the old one, and CacheDiscovery's, which is written
// in place; and what the file costs a change on its way to a watcher. A file is loaded as a program does that has just started: opened and read, once, in
// a fresh process. The operating system has it in memory, as it has just been written.
var file = Scenario{
	Number: 8, Name: "file", Title: "the file: save, load in a fresh process, and its cost on the delivery path",
	Sizes: true,
	Steps: func(p Plan) int { return len(p.FileSizes) + 1 },
	Run: func(ctx context.Context, e *Env) error {
		for _, n := range e.Plan.FileSizes {
			e.Step(fmt.Sprintf("the file of %d instances", n))
			if err := e.files(ctx, n); err != nil {
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

// filer is a contender with its file.
type filer struct {
	tally
	contender.File
	dir string
}

func (e *Env) files(ctx context.Context, n int) error {
	list := make([]*client.KVPair, n)
	for i := range list {
		list[i] = &client.KVPair{Key: registry.Key(i), Value: registry.Metadata}
	}
	names := []string{contender.Holdfast, contender.CacheDiscovery, contender.PlainJSON}
	all := make(map[string]*filer)
	for _, name := range names {
		dir, err := os.MkdirTemp(e.Dir, "file-")
		if err != nil {
			return err
		}
		f := &filer{dir: dir}
		if f.File, err = contender.OpenFile(name, dir); err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // what it saved is there
		f.like = result.Cell{Scenario: 8, Instances: n, Contender: name}
		all[name] = f
	}
	defer func() { // an interrupt has what was measured before
		for _, name := range names {
			e.recordAll(&all[name].tally)
		}
	}()
	for round := range e.Plan.FileRounds {
		for _, name := range inTurn(names, round) {
			if err := all[name].round(ctx, e, int64(round+1), list); err != nil {
				return err
			}
		}
	}
	return nil
}

// round saves the list here and loads it there.
func (f *filer) round(ctx context.Context, e *Env, number int64, list []*client.KVPair) error {
	began := time.Now()
	if err := f.Save(number, list); err != nil {
		return err
	}
	f.add(Save, result.Time, float64(time.Since(began)))
	load := f.cell(Load, result.Time)
	if load.Series.Failed > 0 {
		return nil // it cannot
	}
	p, err := e.Launcher.Start(ctx, f.like.Contender)
	if err != nil {
		return err
	}
	defer p.Close()
	took, n, err := p.LoadFile(ctx, f.dir)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		load.Series.Failed++
		load.Note = err.Error()
	case n == len(list):
		load.Series.Add(float64(took))
	default:
		load.Series.Failed++
		load.Note = fmt.Sprintf("of %d instances in the file %d are returned: rpcx v1.9.4 drops what it has read", len(list), n)
	}
	return nil
}
