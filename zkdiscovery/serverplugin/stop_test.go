package serverplugin

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// Promise R3: Unregister and Stop remove what is ours, and nothing else, within a bounded time.
func TestStopTakesLittleTimeInEveryState(t *testing.T) {
	for state, reach := range map[string]func(b bubble, p *ZooKeeperRegisterPlugin){
		"registered": func(bubble, *ZooKeeperRegisterPlugin) {},
		"silent":     func(b bubble, _ *ZooKeeperRegisterPlugin) { b.zk.Silence(true) },
		"silent in the handshake": func(b bubble, _ *ZooKeeperRegisterPlugin) {
			b.zk.Silence(true)
			b.zk.DropConnections()
			pass(2 * time.Second)
		},
		"silent for a while": func(b bubble, _ *ZooKeeperRegisterPlugin) {
			b.zk.Silence(true)
			pass(time.Minute)
		},
		"silent, with requests under way": func(b bubble, p *ZooKeeperRegisterPlugin) {
			b.zk.Silence(true)
			for i := range 200 {
				b.register(p, fmt.Sprint("More", i), "")
			}
			pass(time.Second)
		},
		"away": func(b bubble, _ *ZooKeeperRegisterPlugin) {
			b.zk.Stop()
			pass(time.Minute)
		},
		"yielded": func(b bubble, _ *ZooKeeperRegisterPlugin) {
			b.register(b.plugin(), "Arith", "")
			pass(time.Second)
		},
		"unregistering": func(b bubble, p *ZooKeeperRegisterPlugin) {
			b.zk.Silence(true)
			_ = p.Unregister("Arith")
		},
		"draining": func(b bubble, p *ZooKeeperRegisterPlugin) {
			go func() { _ = p.Drain(b.Context()) }()
			pass(time.Second)
		},
	} {
		t.Run(state, func(t *testing.T) {
			inBubble(t, func(b bubble) {
				p := b.plugin()
				b.register(p, "Arith", "")
				pass(time.Second)
				reach(b, p)
				start := time.Now()
				must(b, p.Stop())
				took := time.Since(start)
				t.Log(took)
				if took > time.Second {
					t.Errorf("Stop took %v", took)
				}
				must(b, p.Stop())
				if p.Registered() || len(p.Status().Services) > 0 || len(p.Services) > 0 {
					t.Error(p.Status())
				}
				if err := p.Register("Arith", nil, ""); !errors.Is(err, ErrStopped) {
					t.Errorf("Register after Stop: %v", err)
				}
				if err := p.Start(); !errors.Is(err, ErrStopped) {
					t.Errorf("Start after Stop: %v", err)
				}
				must(b, p.Unregister("Arith"))
			})
		})
	}
}

func TestStopBeforeStart(t *testing.T) {
	p := NewZooKeeperRegisterPlugin()
	if err := errors.Join(p.Unregister("Arith"), p.Drain(t.Context()), p.Stop(), p.Stop()); err != nil {
		t.Error(err)
	}
	if p.Registered() || p.Status().Registered {
		t.Error("registered")
	}
}

func TestStopWhileEverybodyWaits(t *testing.T) {
	inBubble(t, func(b bubble) {
		b.zk.Silence(true)
		p := b.plugin()
		b.register(p, "Arith", "")
		errs := make(chan error, 3)
		go func() { errs <- p.WaitRegistered(b.Context()) }()
		go func() { errs <- p.Stop() }()
		go func() { errs <- p.Stop() }()
		pass(3 * time.Second)
		for range 3 {
			if err := <-errs; err != nil && !errors.Is(err, ErrStopped) {
				t.Error(err)
			}
		}
	})
}

func TestWhatIsStoppingIsNotRegistered(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.Silence(true)
		start := time.Now()
		go func() { _ = p.Stop() }()
		pass(100 * time.Millisecond)
		if p.Registered() || p.Status().Registered {
			t.Error(p.Status())
		}
		must(b, p.Stop()) // waits for the first
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestUnregisterRemovesTheNode(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "/Arith", "")
		b.register(p, "Echo", "")
		pass(time.Second)
		must(b, p.Unregister("Arith/"))
		b.mustBeGone()
		must(b, p.Unregister("Arith"))
		must(b, p.Unregister("unheard of"))
		if len(p.Services) != 1 || p.Services[0] != "Echo" {
			t.Errorf("services %q", p.Services)
		}
		pass(time.Hour)
		b.mustBeGone()
		if err := p.Unregister(" "); err == nil {
			t.Error("an empty name unregisters")
		}
		b.register(p, "Arith", "again")
		pass(time.Second)
		b.mustOwn(p, "again")
	})
}

func TestUnregisterIsBoundedAndIsDoneLater(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		const services = 500
		for i := range services {
			b.register(p, fmt.Sprint("Arith", i), "")
		}
		pass(time.Second)
		b.zk.Silence(true)
		start := time.Now()
		for i := range services { // as rpcx's Shutdown does, with its locks held
			if err := p.Unregister(fmt.Sprint("Arith", i)); !errors.Is(err, ErrUnconfirmed) {
				t.Fatalf("Unregister %d: %v", i, err)
			}
		}
		if took := time.Since(start); took > 1500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		pass(2 * time.Second)
		b.zk.Silence(false)
		pass(time.Second)
		for i := range services {
			if _, err := b.zk.Get(fmt.Sprintf("/rpcx/Arith%d/%s", i, address)); err == nil {
				t.Fatalf("Arith%d is still there", i)
			}
		}
		if st := p.Status(); len(st.Services) != 0 {
			t.Error(st)
		}
	})
}

func TestUnregisterWaitsAgainWhenZooKeeperHasAnswered(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		b.register(p, "Echo", "")
		pass(time.Second)
		b.zk.Silence(true)
		if err := p.Unregister("Arith"); !errors.Is(err, ErrUnconfirmed) {
			t.Error(err)
		}
		must(b, b.zk.Delete(nodePath)) // so that there is nothing to be done when ZooKeeper answers
		b.zk.DropConnections()
		b.zk.Silence(false)
		pass(time.Second)
		must(b, p.Unregister("Echo"))

		b.register(p, "Arith", "")
		b.register(p, "Echo", "")
		pass(time.Second)
		b.zk.Silence(true)
		if err := p.Unregister("Arith"); !errors.Is(err, ErrUnconfirmed) {
			t.Error(err)
		}
		b.zk.Silence(false) // it is done now, and that is the answer
		pass(time.Second)
		b.mustBeGone()
		must(b, p.Unregister("Echo"))
	})
}

func TestUnregisterDoesNotWaitWhileZooKeeperIsAway(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.Stop()
		pass(time.Second)
		b.register(p, "Never", "")
		start := time.Now()
		if err := p.Unregister("Arith"); !errors.Is(err, ErrUnconfirmed) {
			t.Error(err)
		}
		if err := p.Unregister("Never"); err != nil {
			t.Errorf("of what was never written: %v", err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("took %v", took)
		}
		must(b, b.zk.Start()) // within the session timeout: the node is still there
		b.owner("")
		pass(recovery)
		b.mustBeGone()
	})
}

func TestUnregisterAndRegisterInAnyOrder(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		for i := range 50 {
			b.register(p, "Arith", fmt.Sprint(i))
			if i%3 != 0 {
				pass(time.Duration(i) * time.Millisecond)
			}
			go func() { _ = p.Unregister("Arith") }()
			if i%2 == 0 {
				pass(0)
			}
		}
		pass(time.Second)
		b.mustBeGone()
		b.register(p, "Arith", "last")
		pass(time.Second)
		b.mustOwn(p, "last")
	})
}

func TestUnregisterKnowsWhatAnEarlierRegistrationHasWritten(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.Stop()
		pass(time.Second)
		if err := p.Unregister("Arith"); !errors.Is(err, ErrUnconfirmed) {
			t.Error(err)
		}
		b.register(p, "Arith", "")
		if err := p.Unregister("Arith"); !errors.Is(err, ErrUnconfirmed) {
			t.Error(err)
		}
	})
}

func TestUnregisterIsOverWhenTheServiceIsRegisteredAgain(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Second)
		b.zk.Silence(true)
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- p.Unregister("Arith") }()
		pass(100 * time.Millisecond)
		b.register(p, "Arith", "again")
		if err := <-done; err != nil || time.Since(start) != 100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		b.zk.Silence(false)
		pass(time.Second)
		b.mustOwn(p, "again")
	})
}
