package selector

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
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
	srv := s.next(nil, call{ctx, "Arith", "Mul", args})
	if srv == nil {
		return "", pick{}
	}
	return srv.key, s.count(srv)
}
