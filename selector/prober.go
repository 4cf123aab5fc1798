package selector

import (
	"context"

	"github.com/holdfast-go/holdfast/internal/guard"
	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// prober asks servers whether they are there.
type prober struct{ *guard.Prober }

func newProber(p Probing) *prober {
	return &prober{guard.NewProber(guard.Probe(p.Probe), p.Timeout, p.Parallel)}
}

// ask probes the server of key in the background and calls done once. Wait waits for it.
func (p *prober) ask(ctx context.Context, key string, done func(health.Kind)) {
	p.Go(ctx, key, func(found guard.Answer) {
		switch found {
		case guard.Alive:
			done(health.ProbeAnswered)
		case guard.Silent:
			done(health.ProbeSilent)
		case guard.Unaskable:
			done(health.ProbeUnable)
		}
	})
}
