package selector

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// slowToClone is a discovery whose Clone of "Slow" takes a second, as when its registry answers late.
type slowToClone struct{ client.ServiceDiscovery }

func (d slowToClone) Clone(servicePath string) (client.ServiceDiscovery, error) {
	if servicePath == "Slow" {
		time.Sleep(time.Second)
	}
	return d.ServiceDiscovery.Clone(servicePath)
}

func TestOneClientWaitsForAServiceWithoutHoldingUpAnybodyElse(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		c := NewOneClient(client.Failfast, slowToClone{newDiscovery("tcp@127.0.0.1:1")}, client.DefaultOption, nil)
		began := time.Now()
		go func() {
			if _, err := c.Service("Slow"); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if _, err := c.Service("Fast"); err != nil || time.Since(began) > 0 {
			t.Errorf("another service: %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := c.Call(ctx, "Slow", "Greet", &question, new(string)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 100*time.Millisecond {
			t.Errorf("a call of that service with 100 ms: %v after %v", err, time.Since(began))
		}
		if _, err := c.Service("Slow"); err != nil || time.Since(began) != time.Second {
			t.Errorf("somebody with more time: %v after %v", err, time.Since(began))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// A member of a pool waited for the selector that another member's call had made, however long that took.
func TestAPoolsCallerWaitsForASelectorNoLongerThanItsContext(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		p := NewOneClientPool(2, client.Failfast, newDiscovery("tcp@127.0.0.1:1"), client.DefaultOption, func(string, client.ServiceDiscovery) (*Selector, error) {
			time.Sleep(time.Minute)
			return New()
		})
		began := time.Now()
		go func() { _, _ = p.Get().Service("Kelp") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Get().Call(ctx, "Kelp", "Greet", &question, new(string)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
			t.Errorf("a call with one second: %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		p.Close()
		synctest.Wait()
	})
}
