package selector

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// chosen returns the keys that a client of that name uses of n servers.
func chosen(tb testing.TB, client string, list map[string]string, n int) []string {
	tb.Helper()
	s := mustNew(tb, WithSubset(n), WithClientID(client), WithoutProbing())
	s.UpdateServer(list)
	var keys []string
	for _, srv := range s.main.table.Load().pool.servers {
		keys = append(keys, srv.key)
	}
	slices.Sort(keys)
	return keys
}

func TestASubsetIsStableAndMovesByOne(t *testing.T) {
	all := fleet(200, unweighted)
	was := chosen(t, "client", all, 20)
	if len(was) != 20 || !slices.Equal(was, chosen(t, "client", all, 20)) {
		t.Fatalf("%d servers, or others the second time", len(was))
	}
	if slices.Equal(was, chosen(t, "another", all, 20)) {
		t.Error("another client uses the same")
	}
	for i := range 200 {
		without := maps.Clone(all)
		delete(without, nth(i))
		is := chosen(t, "client", without, 20)
		gone := 0
		for _, k := range was {
			if !slices.Contains(is, k) {
				gone++
			}
		}
		if want := map[bool]int{true: 1}[slices.Contains(was, nth(i))]; gone != want || len(is) != 20 {
			t.Errorf("%d servers change when one is gone, want %d", gone, want)
		}
	}
}

func TestSubsetsOfManyClientsAreEven(t *testing.T) {
	const servers, clients, n = 50, 2000, 5
	got, want := make([]int, servers), make([]float64, servers)
	all, indexes := make([]*server, servers), make(map[string]int)
	for i := range servers {
		indexes[nth(i)] = i
	}
	for i := range clients {
		c, err := newConfig([]Option{WithSubset(n), WithClientID(fmt.Sprint("client-", i))})
		if err != nil {
			t.Fatal(err)
		}
		for i := range servers {
			all[i] = newServer(nth(i), c.clientHash)
		}
		slices.SortFunc(all, inOrder)
		for _, srv := range all[:n] {
			got[indexes[srv.key]]++
		}
	}
	for i := range want {
		want[i] = clients * n / servers
	}
	wantFit(t, got, want)
}

func TestASubsetIsFilledUpWhileItsServersFail(t *testing.T) {
	inBubble(t, 100, func(t *testing.T, s *Selector, w *world) {
		var used []string
		for _, srv := range s.main.table.Load().pool.servers {
			used = append(used, srv.key)
		}
		if len(used) != 10 {
			t.Fatalf("%d servers", len(used))
		}
		w.kill(used[:4]...)
		for _, k := range used[:4] {
			fail(t, s, k, health.Undialled, 1)
		}
		pass(50 * time.Millisecond)
		if c := s.main.table.Load().counts; c.all != 14 || c.in[health.Up] != 10 || c.in[health.Aside] != 4 {
			t.Errorf("%+v", c)
		}
		w.revive(used[:4]...)
		pass(2 * time.Minute)
		picked(t, s, 1000)
		if c := s.main.table.Load().counts; c.all != 10 || c.in[health.Up] != 10 {
			t.Errorf("after their return %+v", c)
		}
		for _, srv := range s.Status().Servers {
			if (srv.State == Spare) == slices.Contains(used, srv.Key) {
				t.Errorf("%s is %v", srv.Key, srv.State)
			}
		}
	}, WithSubset(10))
}

func TestASubsetOfMoreThanThereAreIsAll(t *testing.T) {
	if n := len(chosen(t, "client", fleet(5, unweighted), 20)); n != 5 {
		t.Errorf("%d of 5", n)
	}
}

func TestClientsOfOneNameSendAKeyToTheSameServerOfASubset(t *testing.T) {
	where := func() string {
		s := mustNew(t, WithPolicy(ConsistentHash), WithSubset(5), WithClientID("shop"), WithoutProbing())
		s.UpdateServer(fleet(50, unweighted))
		return s.owner(s.callHash(call{t.Context(), "Arith", "Mul", "key"}))
	}
	if a, b := where(), where(); a != b {
		t.Errorf("%s and %s", a, b)
	}
}

func TestASubsetGrowsToTwiceItsSizeAtMost(t *testing.T) {
	inBubble(t, 100, func(t *testing.T, s *Selector, w *world) {
		for i := range 100 {
			w.kill(nth(i))
			fail(t, s, nth(i), health.Undialled, 1)
		}
		pass(time.Minute)
		if c := s.main.table.Load().counts; c.all != 20 {
			t.Errorf("%+v", c)
		}
	}, WithSubset(10))
}
