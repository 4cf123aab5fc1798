package serverplugin

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Promise R4: clients stop choosing a server before it stops listening.
func TestDrainSaysInactiveWaitsUnregistersAndWaits(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "weight=3&state=active")
		b.register(p, "JSON", `{"a":"b;c"}`)
		pass(time.Second)
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- p.Drain(b.Context()) }()
		pass(1900 * time.Millisecond)
		b.owner("weight=3&state=inactive")
		if n, err := b.zk.Get("/rpcx/JSON/" + address); err != nil || string(n.Data) != `{"a":"b;c"}` {
			b.Errorf("%+v, %v", n, err)
		}
		pass(200 * time.Millisecond)
		b.mustBeGone()
		if _, err := b.zk.Get("/rpcx/JSON/" + address); err == nil {
			b.Error("one service is still there")
		}
		if err := <-done; err != nil || time.Since(start) != 4*time.Second {
			b.Errorf("%v after %v", err, time.Since(start))
		}
		if p.Registered() || len(p.Services) != 0 {
			b.Error(p.Status())
		}
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		b.mustOwn(p, "weight=3")
	})
}

func TestDrainLeavesOutWhatTheMetadataCannotSay(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithDrainWait(3 * time.Second))
		b.register(p, "Arith", `{"a":"b;c"}`)
		pass(time.Second)
		start := time.Now()
		must(b, p.Drain(b.Context()))
		if took := time.Since(start); took != 3*time.Second {
			b.Errorf("took %v", took)
		}
		b.mustBeGone()
	})
}

func TestDrainOfNothingTakesNoTime(t *testing.T) {
	inBubble(t, func(b bubble) {
		start := time.Now()
		p := b.plugin()
		must(b, p.Drain(b.Context()))
		b.register(p, "Arith", "")
		pass(time.Second)
		start = start.Add(time.Second)
		go func() { _ = p.Drain(b.Context()) }()
		pass(time.Millisecond)
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		if err := p.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 1100*time.Millisecond { // waits, but no longer
			b.Errorf("%v after %v", err, time.Since(start))
		}
		must(b, p.Drain(b.Context())) // waits for the first
		if took := time.Since(start); took != 4*time.Second {
			b.Errorf("took %v", took)
		}
	})
}

func TestDrainThatIsCutShortUnregisters(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := p.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			b.Errorf("%v after %v", err, time.Since(start))
		}
		b.mustBeGone()
	})
}

// A second Drain whose ctx ended while it waited for the first left everything as it was.
func TestASecondDrainThatIsCutShortUnregistersToo(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithDrainWait(time.Minute))
		b.register(p, "Arith", "")
		pass(time.Second)
		start := time.Now()
		first := make(chan error, 1)
		go func() { first <- p.Drain(b.Context()) }()
		pass(time.Second)
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		if err := p.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			b.Errorf("%v after %v", err, time.Since(start))
		}
		b.mustBeGone()
		if err := <-first; err != nil || time.Since(start) != 2*time.Minute { // for clients that do not watch metadata
			b.Errorf("the first: %v after %v", err, time.Since(start))
		}
	})
}

func TestDrainUnregistersAlsoWhenItMayNotWait(t *testing.T) {
	for range 20 { // it was left to chance
		inBubble(t, func(b bubble) {
			p := b.plugin()
			b.register(p, "Arith", "")
			pass(time.Second)
			ctx, cancel := context.WithCancel(b.Context())
			cancel()
			start := time.Now()
			if err := p.Drain(ctx); !errors.Is(err, context.Canceled) || time.Since(start) != 0 {
				b.Errorf("%v after %v", err, time.Since(start))
			}
			b.mustBeGone()
		})
	}
}

func TestDrainDoesNotWaitForWhatNobodyCanHaveSeen(t *testing.T) {
	inBubble(t, func(b bubble) {
		b.zk.Stop()
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Minute)
		start := time.Now()
		must(b, p.Drain(b.Context()))
		if took := time.Since(start); took != 0 {
			b.Errorf("took %v", took)
		}
		must(b, b.zk.Start())
		pass(recovery)
		b.mustBeGone()
	})
}

func TestASecondDrainKnowsWhatTheFirstHasLeft(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.Stop()
		for _, want := range []time.Duration{5 * time.Second, 2 * time.Second} { // the second has nobody left to say it
			start := time.Now()
			if err := p.Drain(b.Context()); !errors.Is(err, ErrUnconfirmed) || time.Since(start) != want {
				b.Errorf("%v after %v, want %v", err, time.Since(start), want)
			}
		}
		must(b, b.zk.Start())
		pass(recovery)
		b.mustBeGone()
		must(b, p.Drain(b.Context()))
	})
}

func TestStopEndsDrain(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithDrainWait(time.Hour))
		b.register(p, "Arith", "")
		pass(time.Second)
		done := make(chan error, 2)
		for range 2 { // one drains, the other one waits for it
			go func() { done <- p.Drain(b.Context()) }()
		}
		pass(time.Minute)
		b.owner("state=inactive")
		start := time.Now()
		must(b, p.Stop())
		for range 2 {
			must(b, <-done)
		}
		if took := time.Since(start); took > time.Second {
			b.Errorf("took %v", took)
		}
		b.mustBeGone()
	})
}

func TestDrainOfWhatAnotherProcessHasIsHarmless(t *testing.T) {
	inBubble(t, func(b bubble) {
		old := b.plugin()
		b.register(old, "Arith", "weight=1")
		pass(time.Second)
		p := b.plugin()
		b.register(p, "Arith", "weight=2")
		pass(time.Second)
		defer b.follow()("weight=2") // never inactive
		must(b, old.Drain(b.Context()))
		pass(time.Minute)
		b.mustOwn(p, "weight=2")
	})
}

func TestDrainIsBoundedWhenZooKeeperHangs(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.Silence(true)
		start := time.Now()
		err := p.Drain(b.Context())
		if took := time.Since(start); !errors.Is(err, ErrUnconfirmed) || took > 6*time.Second {
			b.Errorf("%v after %v", err, took)
		}
		b.zk.Silence(false)
		pass(recovery)
		b.mustBeGone()
	})
}

func TestDrainWaitsFromWhenItIsSaid(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.Silence(true)
		done := make(chan error, 1)
		go func() { done <- p.Drain(b.Context()) }()
		pass(900 * time.Millisecond)
		b.zk.Silence(false)
		start := time.Now()
		pass(0)
		b.owner("state=inactive")
		must(b, <-done)
		if took := time.Since(start); took != 4*time.Second {
			b.Errorf("took %v", took)
		}
	})
}

// Whatever Register has asked for is on its way when Drain begins: what the node said before, or says in a moment, is not inactive.
func TestDrainRightAfterRegisterWaitsFromWhenItIsSaid(t *testing.T) {
	t.Run("again", func(t *testing.T) {
		inBubble(t, func(b bubble) {
			p := b.plugin()
			b.register(p, "Arith", "")
			pass(time.Second)
			b.zk.Silence(true)
			b.register(p, "Arith", "")
			done := make(chan error, 1)
			go func() { done <- p.Drain(b.Context()) }()
			pass(900 * time.Millisecond)
			b.zk.Silence(false)
			start := time.Now()
			pass(0)
			b.owner("state=inactive")
			must(b, <-done)
			if took := time.Since(start); took != 4*time.Second {
				b.Errorf("took %v", took)
			}
		})
	})
	t.Run("for the first time", func(t *testing.T) {
		inBubble(t, func(b bubble) {
			must(b, b.zk.Put("/rpcx/Arith", nil))
			p := b.plugin()
			pass(time.Second)
			b.zk.Delay(300 * time.Millisecond)
			b.register(p, "Arith", "")
			pass(400 * time.Millisecond) // the node is being created
			done := make(chan error, 1)
			go func() { done <- p.Drain(b.Context()) }()
			for n, err := b.zk.Get(nodePath); err != nil || string(n.Data) != "state=inactive"; n, err = b.zk.Get(nodePath) {
				pass(time.Millisecond)
			}
			start := time.Now()
			must(b, <-done)
			if took := time.Since(start); took < 4*time.Second {
				b.Errorf("took %v", took)
			}
		})
	})
}

func TestDrainWaitIsOptional(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithDrainWait(0))
		b.register(p, "Arith", "")
		pass(time.Second)
		start := time.Now()
		must(b, p.Drain(b.Context()))
		if took := time.Since(start); took != 0 {
			b.Errorf("took %v", took)
		}
		b.mustBeGone()
	})
}

func TestWhatIsRegisteredDuringDrainIsDrained(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		done := make(chan error, 1)
		go func() { done <- p.Drain(b.Context()) }()
		pass(time.Second)
		b.register(p, "Late", "")
		pass(500 * time.Millisecond)
		if n, err := b.zk.Get("/rpcx/Late/" + address); err != nil || string(n.Data) != "state=inactive" {
			b.Errorf("%+v, %v", n, err)
		}
		must(b, <-done)
		if _, err := b.zk.Get("/rpcx/Late/" + address); err == nil {
			b.Error("still there")
		}
	})
}
