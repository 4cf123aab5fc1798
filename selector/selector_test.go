package selector

import (
	"errors"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

var _ client.Selector = (*Selector)(nil)

func TestAnEmptyListHasNoServer(t *testing.T) {
	for _, p := range []Policy{P2C, Random} {
		s := mustNew(t, WithPolicy(p))
		if key := s.Select(t.Context(), "Arith", "Mul", nil); key != "" {
			t.Errorf("%v before the first list: %q", p, key)
		}
		s.UpdateServer(map[string]string{"tcp@127.0.0.1:1": ""})
		if key := s.Select(t.Context(), "Arith", "Mul", nil); key != "tcp@127.0.0.1:1" {
			t.Errorf("%v with one server: %q", p, key)
		}
		s.UpdateServer(nil)
		if key, p := s.choose(t.Context(), nil); key != "" {
			t.Errorf("%v after an empty list: %q", p, key)
		}
	}
}

func TestOnlyAPickThatSomebodyReportsOnIsInFlight(t *testing.T) {
	s := mustNew(t)
	const key = "tcp@127.0.0.1:1"
	s.UpdateServer(map[string]string{key: ""})
	inFlight := func() int64 { return s.main.table.Load().byKey[key].load.InFlight.Load() }
	s.Select(t.Context(), "Arith", "Mul", nil)
	if n := inFlight(); n != 0 {
		t.Errorf("%d in flight after a Select that nobody will report on", n)
	}
	_, p := s.choose(t.Context(), nil)
	if n := inFlight(); n != 1 {
		t.Errorf("%d in flight after a choice", n)
	}
	s.UpdateServer(nil) // the server leaves the list while it is in use
	s.UpdateServer(map[string]string{key: ""})
	p.done(health.Answered, 0)
	p.done(health.Answered, 0)
	if n := inFlight(); n != 0 {
		t.Errorf("%d in flight after it was done, twice", n)
	}
}

func TestNewsOfAServerThatIsNotListedIsIgnored(t *testing.T) {
	s := mustNew(t)
	s.dialFailed("tcp@127.0.0.1:1", errors.New("refused"))
	s.observe(s.main, "tcp@127.0.0.1:1", health.Late, time.Second)
	if key := s.Select(t.Context(), "Arith", "Mul", nil); key != "" {
		t.Errorf("it is listed: %q", key)
	}
}

func TestMetadataThatDoesNotMatterChangesNothing(t *testing.T) {
	s := mustNew(t, WithoutProbing())
	s.UpdateServer(fleet(10, func(int) string { return "weight=2&calls=1.00&latitude=NaN&longitude=1" }))
	before := s.main.table.Load().pool
	s.UpdateServer(fleet(10, func(int) string { return "weight=2&calls=7.53&latitude=NaN&longitude=1" }))
	if s.main.table.Load().pool != before {
		t.Error("the pool was made again")
	}
	s.UpdateServer(fleet(10, func(i int) string { return []string{"weight=2", "weight=3"}[i/9] }))
	if s.main.table.Load().pool == before {
		t.Error("a new weight has changed nothing")
	}
}
