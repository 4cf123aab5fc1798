package rpcx

import (
	"context"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/blackhole"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// What the file is for, and what it costs: a program starts without ZooKeeper, and of the ten servers that the file knows four are gone, two of them
// without a trace. After two seconds no call fails, or waits for a dial, which would take a second of everybody's.
func TestTheDeadOfAStaleFileCostNothingAfterTwoSeconds(t *testing.T) {
	harness.OnTheNetwork(t, func(t *harness.World) {
		var backends []*harness.Backend
		for range 10 {
			b := harness.StartBackend(t)
			backends = append(backends, b)
			t.Put(t.Service("Arith")+"/"+b.Key, "")
		}
		d := t.Discover("Arith")
		t.Equal(d, "Arith")
		t.Eventually("the list is in the file", func() bool {
			file, err := os.ReadFile(d.Status().CacheFile)
			return err == nil && strings.Count(string(file), "tcp@") == len(backends)
		})
		d.Close()
		t.Stop()
		for i, b := range backends[:4] {
			b.Stop()
			if i >= 2 {
				blackhole.Open(t.T, strings.TrimPrefix(b.Key, "tcp@"))
			}
		}

		d = t.Discover("Arith")
		t.Source(d, zkdiscovery.File)
		s, err := selector.New(selector.WithLive(func() bool { return d.Snapshot().Source == zkdiscovery.Live }))
		harness.Must(t, err)
		defer s.Close()
		option := client.DefaultOption
		option.ConnectTimeout = time.Second
		xc := selector.Wrap(client.NewXClient("Arith", client.Failfast, client.SelectByUser, d, option), s)
		defer xc.Close()
		began := time.Now()
		dials := &failedDials{since: began.Add(2 * time.Second)}
		xc.GetPlugins().Add(dials)

		var mu sync.Mutex
		calls, failed := 0, 0
		var longest time.Duration
		var callers sync.WaitGroup
		count := 8
		if harness.RaceDetector { // which would report rpcx's own, of connections that several callers have
			count = 1
		}
		for range count {
			callers.Go(func() {
				for time.Since(began) < 6*time.Second {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					start := time.Now()
					err := xc.Call(ctx, "Mul", &harness.Args{A: 2, B: 3}, &harness.Reply{})
					took := time.Since(start)
					cancel()
					mu.Lock()
					calls++
					if start.Sub(began) > 2*time.Second {
						longest = max(longest, took)
						if err != nil {
							if failed++; failed == 1 {
								t.Errorf("%v after the start: %v", start.Sub(began).Round(time.Millisecond), err)
							}
						}
					}
					mu.Unlock()
					time.Sleep(time.Millisecond)
				}
			})
		}
		callers.Wait()
		t.Logf("%d calls; after two seconds %d failed, and the longest took %v", calls, failed, longest)
		t.Log(s.Status())
		if failed > 0 || calls < 100 { // as few as that are made where a dial stops everybody
			t.Errorf("%d of %d calls have failed", failed, calls)
		}
		if n := dials.n.Load(); n > 0 {
			t.Errorf("everybody has waited for %d dials that failed", n)
		}
	})
}

// failedDials counts the XClient's from a time on.
type failedDials struct {
	since time.Time
	n     atomic.Int64
}

// ConnCreateFailed is called by rpcx.
func (f *failedDials) ConnCreateFailed(string, string) {
	if time.Now().After(f.since) {
		f.n.Add(1)
	}
}
