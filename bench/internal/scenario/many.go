package scenario

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/holdfast-go/holdfast/internal/impatient"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
	"github.com/holdfast-go/holdfast/bench/internal/stats"
)

// ManyRegistered is measured from the start of the plugin to the last of 500 registrations that it says it has made.
const ManyRegistered = "500 services: started → all registered"

// Pipelined is the yardstick for it: a connection that does nothing but 1,000 creations, 128 at once, connecting left in as for the others.
const Pipelined = "1,000 pipelined requests"

const (
	manyServices = 500
	manyAtOnce   = 128
)

// registerMany has the plugins and the yardstick take turns. The services' own nodes are there before, as after a server has run.
func (e *Env) registerMany(ctx context.Context) error {
	names := append(e.registrars(), Pipelined)
	series := make(map[string]*stats.Series)
	for _, name := range names {
		series[name] = new(stats.Series)
	}
	for i := range manyServices {
		if _, err := e.Registry.Service(fmt.Sprintf("many%d", i), 0); err != nil {
			return err
		}
	}
	if _, err := e.Registry.Service("pipelined", 0); err != nil {
		return err
	}
	notes := make(map[string]string)
	spent := make(map[string]time.Duration)
	defer func() { // an interrupt has what was measured before
		for _, name := range names {
			e.recordRegistration(ManyRegistered, name, *series[name], result.Time, notes[name])
		}
	}()
	for round := -1; round < e.Plan.Many.Rounds; round++ { // the first warms up
		for _, name := range inTurn(names, round+1) {
			if notes[name] != "" || e.Plan.Many.enough(round, spent[name]) {
				continue
			}
			took, err := e.registerManyOnce(ctx, name, round)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				series[name].Failed++
				notes[name] = err.Error()
			case round >= 0:
				series[name].Add(float64(took))
				spent[name] += took
			}
		}
	}
	return nil
}

func (e *Env) registerManyOnce(ctx context.Context, name string, round int) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if name == Pipelined {
		return e.pipelined(ctx, round)
	}
	p, err := e.Launcher.Start(ctx, name)
	if err != nil {
		return 0, err
	}
	key := registry.Key(3_000_000 + 2*round) // of their own: sessions of the round before may not have ended
	if name == contender.Holdfast {
		key = registry.Key(3_000_001 + 2*round)
	}
	took, err = p.ServeMany(ctx, e.Servers, e.base(), "many", key, manyServices, registrationSession)
	p.Close()
	if err != nil {
		return 0, err
	}
	// ZooKeeper would remove its nodes when its session expires, in the middle of somebody's turn.
	return took, e.Registry.RemoveFromAll("many", manyServices, key)
}

// pipelined is the yardstick.
func (e *Env) pipelined(ctx context.Context, round int) (time.Duration, error) {
	began := time.Now()
	conn, _, err := zk.Connect(e.Servers, sessionTimeout, zk.WithLogInfo(false), zk.WithDialer(impatient.Dial))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, conn.Close)
	defer stop()
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var creating sync.WaitGroup
	for range manyAtOnce {
		creating.Go(func() {
			for i := next.Add(1); i <= 2*manyServices; i = next.Add(1) {
				path := fmt.Sprintf("%s/pipelined/%d-%d", e.Registry.Base(), round, i)
				if _, err := conn.Create(path, []byte(registry.Metadata), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	creating.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	took := time.Since(began)
	conn.Close()
	return took, e.Registry.Emptied(ctx, "pipelined") // nobody's turn begins before
}
