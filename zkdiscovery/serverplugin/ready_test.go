package serverplugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var errCold = errors.New("the cache is cold")

// program is what WithReady asks.
type program struct {
	ready          atomic.Bool
	asked, at, max atomic.Int64 // calls so far, under way, and the most of them
}

func (p *program) isReady(context.Context) error {
	p.asked.Add(1)
	p.max.Store(max(p.max.Load(), p.at.Add(1)))
	defer p.at.Add(-1)
	if !p.ready.Load() {
		return errCold
	}
	return nil
}

func TestWithReadyRegistersWhenTheProgramIsReady(t *testing.T) {
	inBubble(t, func(b bubble) {
		var of program
		p := b.plugin(WithReady(of.isReady), WithStarted())
		b.register(p, "Arith", "weight=3")
		pass(time.Minute)
		if n := b.zk.Stats().Requests[zktest.OpCreate]; n > 0 || p.Registered() || p.Ready() || of.asked.Load() != 61 {
			b.Errorf("%d creates, asked %d times", n, of.asked.Load())
		}
		ctx, cancel := context.WithTimeout(b.Context(), askEvery/2)
		defer cancel()
		if err := p.WaitRegistered(ctx); !errors.Is(err, errCold) {
			b.Error(err)
		}
		of.ready.Store(true)
		pass(time.Second)
		b.mustOwn(p, fmt.Sprint("weight=3&started=", time.Now().Unix()))
		of.ready.Store(false)
		asked := of.asked.Load()
		pass(time.Hour)
		if !p.Ready() || !p.Registered() || of.asked.Load() != asked {
			b.Errorf("asked %d times more", of.asked.Load()-asked)
		}
	})
}

// WaitRegistered gave the first reason for ever, and Status none. A reason is the program's: it may be an error that cannot be compared.
func TestTheReasonIsTheOneOfNow(t *testing.T) {
	inBubble(t, func(b bubble) {
		var now atomic.Value
		now.Store(reasons{"database"})
		var log strings.Builder
		p := b.plugin(WithReady(func(context.Context) error { return now.Load().(error) }), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		b.register(p, "Arith", "weight=3")
		for _, want := range []reasons{{"database"}, {"migration"}, {"cache", "disk"}} {
			now.Store(want)
			pass(askEvery)
			ctx, cancel := context.WithCancel(b.Context())
			cancel()
			st := p.Status().Services[0]
			for from, err := range map[string]error{"WaitRegistered": p.WaitRegistered(ctx), "Status": st.Err} {
				var got reasons
				var op *OpError
				if !errors.As(err, &got) || !slices.Equal(got, want) || !errors.As(err, &op) || op.Path != nodePath || st.Phase != Pending {
					b.Errorf("%s: %v, want %v", from, err, want)
				}
			}
		}
		must(b, p.Stop())
		if n := strings.Count(log.String(), "not ready"); n != 1 {
			b.Errorf("told %d times:\n%s", n, log.String())
		}
	})
}

// reasons are an error that may not be compared.
type reasons []string

func (r reasons) Error() string { return strings.Join(r, ", ") }

func TestWithReadyAlwaysSaysInactiveWhileTheProgramIsNot(t *testing.T) {
	inBubble(t, func(b bubble) {
		var of program
		var log strings.Builder
		of.ready.Store(true)
		p := b.plugin(WithReadyAlways(of.isReady), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		b.register(p, "Arith", "weight=3")
		pass(time.Minute)
		b.mustOwn(p, "weight=3")
		for range 2 {
			of.ready.Store(false)
			pass(askAgain)
			b.mustOwn(p, "weight=3&state=inactive")
			of.ready.Store(true)
			pass(askAgain)
			b.mustOwn(p, "weight=3")
		}
		asked := of.asked.Load()
		pass(time.Minute)
		if n := of.asked.Load() - asked; n != 12 {
			b.Errorf("asked %d times in a minute", n)
		}
		must(b, b.zk.Set(nodePath, []byte("weight=3&state=inactive"))) // and neither undoes the operator's
		pass(time.Second)
		of.ready.Store(false)
		pass(askAgain)
		of.ready.Store(true)
		pass(askAgain)
		b.mustSay(p, "weight=3&state=inactive", "state=inactive")
		must(b, p.Stop())
		if n := strings.Count(log.String(), "not ready any more"); n != 3 || !strings.Contains(log.String(), errCold.Error()) {
			b.Errorf("%d lines:\n%s", n, log.String())
		}
	})
}

func TestTheProgramIsNeverAskedTwiceAtOnce(t *testing.T) {
	inBubble(t, func(b bubble) {
		var of program
		var tooLate atomic.Bool
		p := b.plugin(WithReadyAlways(func(ctx context.Context) error {
			_ = of.isReady(ctx)
			of.at.Add(1)
			defer of.at.Add(-1)
			switch of.asked.Load() {
			case 1: // takes longer than it may, and then says yes
				time.Sleep(2 * askLimit)
				tooLate.Store(ctx.Err() != nil)
				return nil
			case 2:
				panic("a bug")
			}
			return nil
		}))
		b.register(p, "Arith", "")
		pass(2*askLimit + askEvery/2)
		if of.asked.Load() != 1 || !tooLate.Load() || p.Registered() {
			b.Errorf("asked %d times, %v", of.asked.Load(), p.Status())
		}
		pass(askEvery)
		if of.asked.Load() != 2 || p.Registered() {
			b.Errorf("a panic is a yes, or the end: asked %d times", of.asked.Load())
		}
		pass(askEvery)
		b.mustOwn(p, "")
		if of.max.Load() != 1 {
			b.Errorf("%d calls at once", of.max.Load())
		}
	})
}

// A program that does not honour its context holds up nobody.
func TestStopLeavesAnAnswerBehindThatDoesNotCome(t *testing.T) {
	inBubble(t, func(b bubble) {
		never := make(chan struct{})
		defer close(never)
		p := b.plugin(WithReady(func(context.Context) error { <-never; return nil }))
		b.register(p, "Arith", "")
		pass(time.Minute)
		start := time.Now()
		must(b, p.Stop())
		if took := time.Since(start); took > time.Second {
			b.Errorf("took %v", took)
		}
	})
}

func TestReadyDoesNotTurnFalseBecauseZooKeeperIsAway(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		ready := func(want bool, when string) {
			b.Helper()
			if p.Ready() != want {
				b.Errorf("%s: ready is %v", when, !want)
			}
		}
		ready(false, "with nothing to register")
		b.register(p, "Arith", "")
		ready(false, "right after Register")
		pass(time.Second)
		ready(true, "registered")
		b.zk.Stop()
		pass(time.Hour)
		ready(true, "ZooKeeper is away for an hour")
		if p.Registered() {
			b.Error("registered without ZooKeeper")
		}
		b.register(p, "Echo", "")
		ready(false, "another service is to be registered")
		pass(time.Minute)
		ready(false, "and is not")
		must(b, p.Unregister("Echo"))
		pass(time.Second)
		ready(true, "it is not to be any more")
		must(b, b.zk.Start())
		pass(recovery)
		ready(true, "ZooKeeper is back")
		other := b.plugin()
		b.register(other, "Arith", "")
		pass(time.Second)
		ready(false, "yielded")
		must(b, other.Stop())
		pass(time.Second)
		ready(true, "registered again")
		go func() { _ = p.Drain(b.Context()) }()
		pass(time.Millisecond)
		ready(false, "draining")
		pass(time.Minute)
		ready(false, "drained")
		b.register(p, "Arith", "")
		ready(false, "registered once more")
		pass(time.Second)
		ready(true, "registered once more, done")
		must(b, p.Stop())
		ready(false, "stopped")
	})
	inBubble(t, func(b bubble) {
		b.zk.Stop()
		p := b.plugin()
		b.register(p, "Arith", "")
		pass(time.Hour)
		if p.Ready() {
			b.Error("ready in an outage that it has begun in")
		}
		must(b, b.zk.Start())
		pass(recovery)
		if !p.Ready() {
			b.Error("not ready")
		}
	})
}

func TestWithStartedTellsWhenItCouldFirstBeCalled(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithStarted())
		want := fmt.Sprint("weight=3&started=", time.Now().Unix())
		pass(time.Hour)
		b.register(p, "Arith", "weight=3")
		b.register(p, "JSON", `{"a":"b;c"}`)
		pass(time.Second)
		b.mustOwn(p, want)
		b.zk.ExpireAll()
		pass(recovery)
		b.mustOwn(p, want)
		b.register(p, "Arith", "started=1&weight=3")
		pass(time.Second)
		b.mustOwn(p, want)
		if n, _ := b.zk.Get("/rpcx/JSON/" + address); string(n.Data) != `{"a":"b;c"}` {
			b.Errorf("%q", n.Data)
		}
	})
}

// A migrated server said nothing, where rpcx-zookeeper fails loudly.
func TestWhatIsNotRegisteredIsSaid(t *testing.T) {
	inBubble(t, func(b bubble) {
		was := slog.Default()
		defer slog.SetDefault(was)
		var log strings.Builder
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		b.zk.Stop()
		p := b.plugin(func(p *ZooKeeperRegisterPlugin) { p.more.log = nil })
		b.many(p, 3)
		pass(time.Hour)
		count := func(services int) int {
			return strings.Count(log.String(), fmt.Sprint("level=WARN msg=\"services are not registered: no ZooKeeper server can be used, trying on\" services=", services))
		}
		if count(3) != 1 || !strings.Contains(log.String(), "connection refused") {
			b.Errorf("the log is\n%s", log.String())
		}
		b.register(p, "Late", "")
		pass(time.Hour)
		if count(1) != 1 {
			b.Errorf("the log is\n%s", log.String())
		}
		must(b, b.zk.Start())
		pass(recovery)
		b.zk.Stop()
		pass(time.Hour)
		if count(3)+count(1) != 2 {
			b.Errorf("of what is registered for all that anybody knows, it is told too:\n%s", log.String())
		}
		must(b, p.Stop())
	})
}
