package serverplugin

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// many registers n services.
func (b bubble) many(p *ZooKeeperRegisterPlugin, n int) {
	b.Helper()
	for i := range n {
		b.register(p, fmt.Sprint("Service", i), "weight=3")
	}
}

func TestFiveHundredServicesAreRegisteredTogether(t *testing.T) {
	const services, roundTrip = 500, 10 * time.Millisecond
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprint("parents exist: ", known), func(t *testing.T) {
			inBubble(t, func(b bubble) {
				for i := range services {
					if known {
						must(b, b.zk.Put(fmt.Sprint("/rpcx/Service", i), nil))
					}
				}
				p := b.plugin()
				pass(time.Second)
				b.zk.Delay(roundTrip)
				was, start := b.zk.Stats(), time.Now()
				b.many(p, services)
				must(b, p.WaitRegistered(b.Context()))
				took, cost := time.Since(start), b.zk.Stats().Since(was).Requests
				b.Logf("%v, %v", took, cost)
				// A few batches are looked at and created; where parents are missing, one round trip finds that out, and another which. What comes first is
				// begun at once, and mostTasks at a time.
				const trips = 10
				if took > trips*roundTrip {
					b.Errorf("registered after %v, want %d round trips", took, trips)
				}
				if n := cost[zktest.OpCreate] + cost[zktest.OpMulti] + cost[zktest.OpMultiRead]; n > 60 {
					b.Errorf("%v", cost)
				}
				pass(time.Second)
				if st := b.zk.Stats(); st.Watches != services || st.Connections != 1 {
					b.Errorf("%d watches, %d connections", st.Watches, st.Connections)
				}
			})
		})
	}
}

// What was registered first is registered when its node is made, and its watch would be in the way of the others.
func TestWatchesWaitForWhatIsNotRegisteredYet(t *testing.T) {
	inBubble(t, func(b bubble) {
		const roundTrip, services = 100 * time.Millisecond, 500
		must(b, b.zk.Put("/rpcx/First", nil))
		for i := range services {
			must(b, b.zk.Put(fmt.Sprint("/rpcx/Service", i), nil))
		}
		p := b.plugin()
		pass(time.Second)
		b.zk.Delay(roundTrip)
		b.register(p, "First", "")
		pass(roundTrip * 3 / 2) // it was looked at, and is being written
		b.many(p, services)
		for range 19 { // which are looked at, and written
			pass(roundTrip / 10)
			if n := b.zk.Stats().Watches; n > 0 {
				b.Fatalf("%d watches were set before all was registered", n)
			}
		}
		pass(time.Second)
		if n := b.zk.Stats().Watches; n != services+1 || !p.Registered() {
			b.Errorf("%d watches, registered %v", n, p.Registered())
		}
	})
}

func TestAtRestOnlyPingsAndRareChecks(t *testing.T) {
	inBubble(t, func(b bubble) {
		const services = 500
		p := b.plugin()
		b.many(p, services)
		pass(time.Minute)
		was := b.zk.Stats()
		const hours = 2
		pass(hours * time.Hour)
		cost := b.zk.Stats().Since(was)
		b.Logf("%v", cost.Requests)
		checks := cost.Requests[zktest.OpGetData]
		if checks+cost.Requests[zktest.OpMultiRead] != cost.Total() || checks > hours*39/10*services || checks < hours*3*services {
			b.Errorf("%d services cost %v in %d hours, want one read each in 15 to 18 minutes", services, cost.Requests, hours)
		}
		if pings := cost.Requests[zktest.OpPing]; pings > hours*3600/3+10 {
			b.Errorf("%d pings", pings)
		}
	})
}

func TestTheCheckFindsWhatNoWatchHasTold(t *testing.T) {
	inBubble(t, func(b bubble) {
		var log strings.Builder
		p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		b.register(p, "Arith", "weight=3")
		pass(time.Minute)
		// The session sets its watches again after a reconnect, and the server loses them: an error that nobody has seen yet.
		b.zk.Silence(true)
		pass(time.Second)
		b.zk.Silence(false)
		b.zk.FailNext(zktest.OpSetWatches, zktest.CodeOK, 1)
		b.zk.DropConnections()
		pass(time.Second)
		must(b, b.zk.Set(nodePath, []byte("by hand")))
		pass(time.Second)
		if n, _ := b.zk.Get(nodePath); string(n.Data) != "by hand" {
			b.Fatal("the watch was there after all")
		}
		pass(20 * time.Minute)
		b.mustOwn(p, "weight=3")
		must(b, b.zk.Set(nodePath, []byte("by hand")))
		pass(time.Second)
		b.mustOwn(p, "weight=3") // watched again
		must(b, p.Stop())
		if strings.Count(log.String(), "no watch had told") != 1 {
			b.Error(log.String())
		}
	})
}

// TestLogHasEdgesOnly counts the lines of an outage of hours.
func TestLogHasEdgesOnly(t *testing.T) {
	inBubble(t, func(b bubble) {
		const services = 50
		var log strings.Builder
		auth := WithAuth("digest", []byte("user:secret"))
		p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))), auth)
		b.many(p, services)
		pass(time.Minute)
		b.zk.Stop()
		pass(3 * time.Hour)
		must(b, b.zk.Start())
		pass(time.Minute)
		if !p.Registered() {
			b.Fatal(p.Status())
		}
		b.many(b.plugin(auth), services)
		pass(time.Minute)
		must(b, p.Stop())
		if n := strings.Count(log.String(), "\n"); n > 12 {
			b.Errorf("%d lines:\n%s", n, log.String())
		}
		for _, want := range []string{"msg=registered services=50", "registrations may be gone", "address lost to a newer process", "owner=0x"} {
			if !strings.Contains(log.String(), want) {
				b.Errorf("%q is not in the log", want)
			}
		}
		if strings.Contains(log.String(), "weight=3") || strings.Contains(log.String(), "secret") {
			b.Error("metadata or credentials are in the log")
		}
		if b.Failed() {
			b.Log(log.String())
		}
	})
}
