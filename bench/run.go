package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/report"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/scenario"
)

// The statuses that the program exits with.
const (
	statusOK         = 0
	statusUnfinished = 1
	statusUsage      = 2
)

// run is the program. When it returns nothing that it has started is running.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return statusOK
	}
	switch {
	case err == nil && o.compare != nil:
		return compare(o.compare, stdout, stderr)
	case err == nil:
		return measure(ctx, o, stdout, stderr)
	}
	_, _ = fmt.Fprintf(stderr, "bench: %v (-help explains)\n", err)
	return statusUsage
}

// compare says where two runs do not agree. Its status is that of a run that could not be finished where they do not.
func compare(files []string, stdout, stderr io.Writer) (status int) {
	var runs []*result.Results
	for _, file := range files {
		r, err := result.Load(file)
		if err != nil {
			_, _ = fmt.Fprintf(stderr, "bench: -compare: %v\n", err)
			return statusUsage
		}
		runs = append(runs, r)
	}
	switch agree, err := report.Compare(stdout, runs[0], runs[1]); {
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "bench: %v\n", err)
		return statusUnfinished
	case !agree:
		return statusUnfinished
	}
	return statusOK
}

// zooKeeperHeap is room for what the scenarios register, so that what is measured is not ZooKeeper's collection of garbage.
var zooKeeperHeap = []string{"-Xms1g", "-Xmx1g"}

// measure measures what o says.
func measure(ctx context.Context, o options, stdout, stderr io.Writer) (status int) {
	complain := func(status int, err error) int {
		_, _ = fmt.Fprintf(stderr, "bench: %v\n", err)
		return status
	}
	if err := writable(o.out); err != nil {
		return complain(statusUsage, err)
	}
	dir, err := os.MkdirTemp("", "holdfast-bench-")
	if err != nil {
		return complain(statusUsage, err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			status = complain(statusUnfinished, err)
		}
	}()
	e := &scenario.Env{Plan: o.plan, Dir: dir, Servers: o.zooKeeper, Results: &result.Results{Plan: o.plan.Name, Started: time.Now()}}
	if o.profiles {
		if e.Profiles, err = filepath.Abs(o.out); err != nil {
			return complain(statusUsage, err)
		}
	}
	if len(o.zooKeeper) == 0 {
		if e.Ensemble, err = zktest.NewEnsemble(1, zktest.WithConfigLines("maxClientCnxns=0"), zktest.WithJavaOptions(zooKeeperHeap...)); err != nil {
			return complain(statusUsage, err)
		}
		defer func() {
			if err := e.Ensemble.Close(); err != nil {
				status = complain(statusUnfinished, err)
			}
		}()
		e.Servers = e.Ensemble.Servers()
	}
	if e.Registry, err = registry.Connect(ctx, e.Servers, "/holdfast-bench-"+strconv.Itoa(os.Getpid()), 3*time.Second); err != nil {
		return complain(statusUsage, err)
	}
	defer func() {
		if e.Ensemble != nil { // whose nodes go with it
			e.Registry.Forget()
		} else if err := e.Registry.Close(); err != nil {
			status = complain(statusUnfinished, err)
		}
	}()
	var missing []error
	e.Launcher, missing = agent.NewLauncher(ctx, dir)
	for _, err := range missing {
		e.Results.Notes = append(e.Results.Notes, err.Error())
	}
	e.Results.Machine = report.Machine(ctx, e.Servers[0])
	if err := scenarios(ctx, e, o.scenarios, stderr); err != nil {
		status = complain(statusUnfinished, err)
	}
	if err := publish(e.Results, o, stdout); err != nil {
		return complain(statusUnfinished, err)
	}
	return status
}

// scenarios warms ZooKeeper up and runs them one after the other. What one of them cannot do it says in the notes; only the end of ctx ends the run.
func scenarios(ctx context.Context, e *scenario.Env, todo []scenario.Scenario, stderr io.Writer) error {
	steps := 1
	for _, s := range todo {
		steps += s.Steps(e.Plan)
	}
	p := report.NewProgress(stderr, steps)
	defer p.Close()
	e.Step = p.Step
	if err := e.WarmUp(ctx); err != nil {
		if ctx.Err() != nil {
			e.Results.Interrupted = "interrupted while ZooKeeper warmed up: nothing was measured before"
			return errors.New("interrupted")
		}
		return err
	}
	var unfinished error
	for _, s := range todo {
		if err := s.Run(ctx, e); err != nil {
			if ctx.Err() != nil {
				e.Results.Interrupted = fmt.Sprintf("interrupted in scenario %d, %s: what is shown was measured before", s.Number, s.Name)
				return errors.New("interrupted")
			}
			e.Results.Notes = append(e.Results.Notes, fmt.Sprintf("scenario %d, %s: %v", s.Number, s.Name, err))
			if !errors.Is(err, scenario.ErrLeftOut) {
				unfinished = fmt.Errorf("scenario %d, %s: %w", s.Number, s.Name, err)
			}
		}
	}
	return unfinished
}

// publish writes the results.
func publish(r *result.Results, o options, stdout io.Writer) error {
	r.Took = time.Since(r.Started)
	r.Finish(contender.Holdfast)
	r.Goals = report.Goals(r)
	var titles []report.Title
	for _, s := range o.scenarios {
		titles = append(titles, report.Title{Number: s.Number, Title: s.Title})
	}
	if err := report.WriteFiles(o.out, r, titles); err != nil {
		return err
	}
	if err := report.Write(stdout, r, titles); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "\n%s has this, results.json and the plots\n", o.out)
	return err
}

// writable makes the directory, and tries.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	f, err := os.CreateTemp(dir, ".try-")
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(filepath.Join(dir, filepath.Base(f.Name()))))
}
