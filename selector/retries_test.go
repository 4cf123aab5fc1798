package selector

import (
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// A service that is down gets few retries more than calls.
func TestRetriesHaveABudget(t *testing.T) {
	nodes, keys := startNodes(t, 2)
	for _, n := range nodes {
		n.drops.Store(true)
	}
	for _, c := range []struct {
		what      string
		opts      []Option
		attempts  uint64  // of 1,000 calls
		perSecond float64 // more of them, of the last 10 s at least
	}{
		{"by default", nil, 1000 + 200 + 20, 10},
		{"as the option says", []Option{WithRetryBudget(0.5, 0)}, 1000 + 500 + 20, 0},
		{"without", []Option{WithoutRetryBudget()}, 4000, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := mustNew(t, append(c.opts, WithPolicy(Random), WithEjection(Ejection{Share: 0.01}))...)
			xc := NewXClient("Kelp", client.Failover, newDiscovery(keys...), client.DefaultOption, s)
			defer xc.Close()
			ready(t, s)
			began := time.Now()
			if failed := callMany(1000, 1, greet(t, xc)); failed != 1000 {
				t.Fatalf("%d calls failed", failed)
			}
			got, st := sum(s), s.Status()
			attempts := got.broken + got.givenUp + got.undialled
			want := c.attempts + uint64(c.perSecond*max(10, time.Since(began).Seconds()))
			if attempts > want || attempts < want/2 {
				t.Errorf("%d attempts for 1,000 calls, want about %d: %+v", attempts, want, got)
			}
			if (st.RetriesDenied > 0) != (c.what != "without") || st.Retries == 0 {
				t.Errorf("%d retries, %d denied", st.Retries, st.RetriesDenied)
			}
		})
	}
}

func TestWithoutABudgetACallHasItsFirstError(t *testing.T) {
	n := startNode(t)
	n.drops.Store(true)
	s := mustNew(t, WithRetryBudget(0, 0))
	xc := NewXClient("Kelp", client.Failover, newDiscovery(n.key), client.DefaultOption, s)
	defer xc.Close()
	for i, call := range []func() error{
		func() error { return xc.Call(t.Context(), "Greet", &question, new(string)) },
		func() error { _, _, err := xc.SendRaw(t.Context(), raw("Greet")); return err }, // which said that there is no server
	} {
		ready(t, s)
		if err := call(); err == nil || !isNetwork(err) {
			t.Errorf("the call: %v, want the error of its attempt", err)
		}
		if st := s.Status(); st.Retries != 0 || st.RetriesDenied != uint64(i)+1 {
			t.Errorf("%d retries, %d denied", st.Retries, st.RetriesDenied)
		}
	}
}

func TestBackupsHaveABudget(t *testing.T) {
	nodes, keys := startNodes(t, 2)
	for _, n := range nodes {
		n.delay.Store(int64(20 * time.Millisecond))
	}
	s := mustNew(t, WithRetryBudget(0.1, 0))
	o := client.DefaultOption
	o.BackupLatency = time.Millisecond
	xc := NewXClient("Kelp", client.Failbackup, newDiscovery(keys...), o, s)
	defer xc.Close()
	ready(t, s)
	if failed := callMany(200, 4, greet(t, xc)); failed > 0 {
		t.Errorf("%d calls failed for want of a backup", failed)
	}
	if st := s.Status(); st.Retries > 25 || st.Retries < 10 || st.RetriesDenied < 150 {
		t.Errorf("%d backups for 200 calls, %d denied", st.Retries, st.RetriesDenied)
	}
}

// A retry that finds nobody, or is not needed, is no load on anybody.
func TestARetryThatIsNotMadeIsGivenBack(t *testing.T) {
	n := startNode(t)
	n.drops.Store(true)
	s := mustNew(t)
	o := client.DefaultOption
	o.Retries = 0 // rpcx selects once more than it calls
	xc := NewXClient("Kelp", client.Failover, newDiscovery(n.key), o, s)
	defer xc.Close()
	ready(t, s)
	callMany(50, 1, greet(t, xc))
	if st := s.Status(); st.Retries != 0 {
		t.Errorf("%d retries", st.Retries)
	}
}

// A backup that found nobody was counted, and the budget had one less.
func TestABackupThatIsNotMadeIsGivenBack(t *testing.T) {
	n := startNode(t)
	d := newDiscovery(n.key)
	s := mustNew(t)
	o := client.DefaultOption
	o.BackupLatency = 20 * time.Millisecond
	xc := NewXClient("Kelp", client.Failbackup, d, o, s)
	defer xc.Close()
	ready(t, s)
	called := make(chan error, 1)
	go func() { called <- xc.Call(t.Context(), "Wait", &question, new(string)) }()
	eventually(t, "the first request has arrived", func() bool { return n.waiting.Load() > 0 })
	d.set() // the second finds nobody
	time.Sleep(100 * time.Millisecond)
	n.release <- struct{}{}
	if err := <-called; err != nil {
		t.Error(err)
	}
	if st := s.Status(); st.Retries != 0 {
		t.Errorf("%d retries", st.Retries)
	}
}

// The first call after a quiet time was counted among those of that time, so that it could not be retried.
func TestACallAfterAQuietTimeHasItsShareOfRetries(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, s *Selector, _ *world) {
		pass(time.Hour)
		h := &holder{Context: t.Context(), x: &xclient{s: s}}
		s.Select(h, "Arith", "Mul", nil)
		h.pick.done(health.Late, time.Second)
		if s.Select(h, "Arith", "Mul", nil) == "" {
			t.Error("no retry for a call that may have one")
		}
		h.release(true)
	}, WithRetryBudget(1, 0))
}
