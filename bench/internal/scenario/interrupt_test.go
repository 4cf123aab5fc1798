package scenario

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"github.com/smallnest/rpcx/log"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/bench/internal/result"
)

func TestMain(m *testing.M) {
	agent.RunIfAsked(contender.ByName)
	log.SetDummyLogger()
	goleak.VerifyTestMain(m)
}

// env is an Env in a server of its own.
func env(t *testing.T, plan Plan) *Env {
	t.Helper()
	server := zktest.Start(t)
	r, err := registry.Connect(t.Context(), []string{server.Addr()}, "/bench", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Forget)
	return &Env{Plan: plan, Launcher: new(agent.Launcher), Servers: []string{server.Addr()}, Registry: r, Dir: t.TempDir(), Results: new(result.Results)}
}

func TestAnInterruptHasWhatWasMeasuredBefore(t *testing.T) {
	plan := Tiny()
	plan.Start.Rounds, plan.FanOutRounds, plan.FileRounds, plan.Registrations = 1<<20, 1<<20, 1<<20, 1<<20
	for name, run := range map[string]func(context.Context, *Env) error{
		"start":        func(ctx context.Context, e *Env) error { return e.startDown(ctx) },
		"fanout":       func(ctx context.Context, e *Env) error { return e.fanOut(ctx, 1) },
		"file":         func(ctx context.Context, e *Env) error { return e.files(ctx, 10) },
		"registration": func(ctx context.Context, e *Env) error { return e.registrations(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			measured := false
			for after := time.Second; !measured && after < 20*time.Second; after *= 2 { // the machine may be busy
				e := env(t, plan)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(after, cancel)
				if err := run(ctx, e); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				measured = slices.ContainsFunc(e.Results.Cells, func(c result.Cell) bool { return len(c.Series.Values) > 0 })
			}
			if !measured {
				t.Error("nothing was recorded")
			}
		})
	}
}

// refuser cannot register.
type refuser struct{}

func (refuser) Serve(context.Context, []string, string, string, string, time.Duration, time.Duration) error {
	return errors.New("no")
}

// A contender's failure once ended the scenario, for everybody.
func TestAFailureIsNoInterrupt(t *testing.T) {
	e := env(t, Tiny())
	_, err := e.register(t.Context(), refuser{}, e.Servers, registry.Key(0), nobody)
	r := new(tally)
	if err := count(t.Context(), r, Registered, time.Now(), err); err != nil {
		t.Error(err)
	}
	f := &filer{dir: t.TempDir()}
	f.like.Contender = contender.PlainJSON
	if f.File, err = contender.OpenFile(f.like.Contender, t.TempDir()); err != nil { // elsewhere: there is nothing to load
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // nothing was to be kept
	if err := f.round(t.Context(), e, 1, nil); err != nil {
		t.Error(err)
	}
	for _, c := range []*result.Cell{r.cell(Registered, result.Time), f.cell(Load, result.Time)} {
		if c.Series.Failed != 1 || c.Note == "" {
			t.Errorf("%+v", c)
		}
	}
	if note := r.cells[0].Note; note != "no" {
		t.Error(note)
	}
}
