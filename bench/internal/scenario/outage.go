package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/result"
)

// outage takes ZooKeeper away under load for longer than its sessions. It comes back before the servers can reach it, so that their sessions expire
// and its list is empty although every server is up; then they register again. One client of each contender has been there before, another starts
// in the middle of it.
var outage = Scenario{
	Number: 5, Name: "outage", Title: "the outage: share of failed calls, all contenders at once",
	Steps: func(Plan) int { return 4 },
	Run: func(ctx context.Context, e *Env) error {
		if e.Ensemble == nil {
			return errNeedsEnsemble
		}
		return e.outage(ctx)
	},
}

// The measures and the cases of outage.
const (
	FailedAway      = "failed calls while ZooKeeper is away"
	FailedReturning = "failed calls as it returns, its list empty"
	FailedAfter     = "failed calls after the servers have registered again"
	ClientBefore    = "a client from before"
	ClientMidst     = "a client started meanwhile"
)

const (
	outageServers = 5
	outageRate    = 100 // calls a second of each client
	outageBin     = 250 * time.Millisecond
	outageService = "Doubler"
)

// caller is a client under load.
type caller struct {
	*agent.Process
	client string
}

func (e *Env) outage(ctx context.Context) error {
	away, err := zktest.NewProxy(e.Servers[0]) // the servers' way
	if err != nil {
		return err
	}
	defer away.Close()
	fleet, err := e.startFleet(ctx, away.Addr())
	if err != nil {
		return err
	}
	defer fleet.stop()
	var callers []*caller
	defer func() {
		for _, c := range callers {
			c.Close()
		}
	}()
	dirs := make(map[string]string)
	begin := func(client string) error {
		for _, name := range e.among(contender.Holdfast, contender.Peer, contender.CacheDiscovery) {
			if dirs[name] == "" {
				dirs[name] = e.dir(name)
			}
			p, err := e.Launcher.Start(ctx, name)
			if err != nil {
				return err
			}
			callers = append(callers, &caller{p, client})
			o := agent.Open{Servers: e.Servers, Base: e.base(), Service: outageService, Dir: dirs[name], SessionTimeout: e.Plan.OutageSession}
			if err := p.Load(ctx, o, outageRate, outageBin); err != nil {
				return err
			}
		}
		return nil
	}

	p := e.Plan
	e.Step("the outage: all is well")
	if err := begin(ClientBefore); err != nil {
		return err
	}
	if err := pause(ctx, time.Second); err != nil { // they connect
		return err
	}
	began := time.Now()
	if err := pause(ctx, p.OutageBefore); err != nil {
		return err
	}
	e.Step("the outage: ZooKeeper is away")
	if err := errors.Join(e.Ensemble.StopAll(), away.Refuse(true)); err != nil {
		return err
	}
	away.Drop()
	gone := time.Since(began)
	if err := pause(ctx, p.OutageDuring/2); err != nil {
		return err
	}
	if err := begin(ClientMidst); err != nil {
		return err
	}
	if err := pause(ctx, p.OutageDuring-p.OutageDuring/2); err != nil {
		return err
	}
	e.Step("the outage: ZooKeeper is back, the servers' sessions expire")
	if err := e.Ensemble.StartAll(); err != nil {
		return err
	}
	back := time.Since(began)
	if err := pause(ctx, p.OutageSession+time.Second); err != nil {
		return err
	}
	e.Step("the outage: the servers register again")
	if err := away.Refuse(false); err != nil {
		return err
	}
	if err := fleet.registered(ctx); err != nil {
		return err
	}
	again := time.Since(began)
	if err := pause(ctx, p.OutageAfter+2*outageBin); err != nil {
		return err
	}
	end := time.Since(began)
	e.Results.Spans = []result.Span{
		{Name: "ZooKeeper is away", From: gone, To: back}, {Name: "it is back, the servers are not registered yet", From: back, To: again},
	}
	for _, c := range callers {
		e.judge(c, began, gone, back, again, end)
	}
	return nil
}

// judge records a client's calls.
func (e *Env) judge(c *caller, began time.Time, gone, back, again, end time.Duration) {
	line := result.Timeline{Contender: c.Contender, Client: c.client}
	var last time.Duration
	for _, t := range c.Ticks() {
		at := t.At.Sub(began)
		last = at
		if at >= 0 && at < end {
			line.Points = append(line.Points, result.Point{At: at, OK: t.OK, Failed: t.Failed})
		}
	}
	note := ""
	if end-last > 4*outageBin { // it tells of every bin two bins later
		note = "its process died; its calls count as failed from then on"
		for at := max(last+outageBin, 0); at < end; at += outageBin {
			line.Points = append(line.Points, result.Point{At: at, Failed: int(outageRate * outageBin / time.Second)})
		}
	}
	e.Results.Timelines = append(e.Results.Timelines, line)
	for _, span := range []struct {
		measure  string
		from, to time.Duration
	}{{FailedAway, gone, back}, {FailedReturning, back, again}, {FailedAfter, again, end}} {
		ok, failed := 0, 0
		for _, p := range line.Points {
			if p.At >= span.from && p.At < span.to {
				ok += p.OK
				failed += p.Failed
			}
		}
		cell := result.Cell{Scenario: 5, Measure: span.measure, Case: c.client, Contender: c.Contender, Unit: result.Share, Note: note}
		if ok+failed > 0 {
			cell.Series.Add(float64(failed) / float64(ok+failed))
			if note == "" && failed > 0 {
				cell.Note = fmt.Sprintf("%d of %d", failed, ok+failed)
			}
		}
		e.record(cell)
		note = "" // said once
	}
}

// fleet is rpcx servers that register through a way of their own.
type fleet struct {
	servers []*server.Server
	plugins []*serverplugin.ZooKeeperRegisterPlugin
	serving sync.WaitGroup
}

func (e *Env) startFleet(ctx context.Context, zooKeeper string) (*fleet, error) {
	f := new(fleet)
	for range outageServers {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it returns at once
		if err != nil {
			f.stop()
			return nil, err
		}
		s := server.NewServer()
		if err := s.RegisterName(outageService, agent.Doubler{}, ""); err != nil {
			f.stop()
			return nil, err
		}
		f.servers = append(f.servers, s)
		f.serving.Go(func() { _ = s.ServeListener("tcp", l) }) // it ends with an error when it is closed
		p := serverplugin.NewZooKeeperRegisterPlugin(
			serverplugin.WithZKServiceAddress("tcp@"+l.Addr().String()), serverplugin.WithZKServersAddress([]string{zooKeeper}),
			serverplugin.WithZKBasePath(e.base()), serverplugin.WithSessionTimeout(e.Plan.OutageSession))
		err = p.Start()
		if err == nil {
			f.plugins = append(f.plugins, p)
			err = p.Register(outageService, nil, "")
		}
		if err != nil {
			f.stop()
			return nil, err
		}
	}
	if err := f.registered(ctx); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// registered waits until all are.
func (f *fleet) registered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, p := range f.plugins {
		if err := p.WaitRegistered(ctx); err != nil {
			return fmt.Errorf("the servers' registration: %w", err)
		}
	}
	return nil
}

func (f *fleet) stop() {
	for _, p := range f.plugins {
		_ = p.Stop() // the nodes die with their sessions otherwise
	}
	for _, s := range f.servers {
		_ = s.Close() // connections of clients that are gone
	}
	f.serving.Wait()
}
