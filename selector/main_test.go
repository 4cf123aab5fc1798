package selector

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func TestMain(m *testing.M) {
	if os.Getenv(beHasher) != "" {
		fmt.Print(keysBelongTo())
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// patience bounds what a test waits for outside a bubble; nothing needs it.
const patience = 10 * time.Second

func mustNew(tb testing.TB, opts ...Option) *Selector {
	tb.Helper()
	s, err := New(opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// choose picks a server as Select does for a wrapped XClient.
func (s *Selector) choose(ctx context.Context, args any) (key string, p pick) {
	p = s.next(s.main, nil, call{ctx, "Arith", "Mul", args})
	if p.server == nil {
		return "", p
	}
	p.count()
	return p.server.key, p
}

// chosen is a pick of a server, as if it had been drawn.
func (s *Selector) chosen(key string) pick {
	p := s.pickOf(s.main.table.Load().byKey[key])
	p.count()
	return p
}

// dialFailed tells of a dial that failed, as rpcx's plugins hear of it.
func (s *Selector) dialFailed(key string, _ error) { s.observe(s.main, key, health.Undialled, 0) }
