package selector

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

var question = "who?"

// What each mode can know, as the doc of Wrap has it. Every test waits for the exact account: no attempt is told twice, and none is left in flight.

func TestFailfastPairsThePickWithItsOutcome(t *testing.T) {
	n := startNode(t)
	for _, c := range []struct {
		what, method string
		ctx          func(t *testing.T) context.Context
		args         any
		want         account
		race         string // in rpcx
	}{
		{what: "an answer", method: "Greet", want: account{ok: 1}},
		{what: "an error of the service's", method: "Refuse", want: account{refused: 1}},
		{what: "a broken connection", method: "Drop", want: account{broken: 1}},
		{
			what: "no answer in time", method: "Wait", want: account{late: 1}, race: "client.go:345 and :567",
			ctx: func(t *testing.T) context.Context { return within(t, time.Second) },
		},
		{
			what: "a caller who gives up", method: "Wait", want: account{givenUp: 1}, race: "client.go:345 and :567",
			ctx: func(t *testing.T) context.Context {
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					eventually(t, "the call has arrived", func() bool { return n.waiting.Load() > 0 })
					cancel()
				}()
				return ctx
			},
		},
		{
			what: "a deadline that had passed before", method: "Greet", want: account{unknown: 1}, race: "client.go:345 and :567",
			ctx: func(t *testing.T) context.Context { return within(t, -time.Second) },
		},
		{what: "arguments that cannot be sent", method: "Greet", args: make(chan int), want: account{unknown: 1}, race: "client.go:241 and :755"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.race != "" {
				racyInRPCX(t, c.race)
			}
			xc, s := wrapped(t, client.Failfast, nil, n.key)
			ctx, args := t.Context(), any(&question)
			if c.ctx != nil {
				ctx = c.ctx(t)
			}
			if c.args != nil {
				args = c.args
			}
			var reply string
			err := xc.Call(ctx, c.method, args, &reply)
			if (err == nil) != (c.want.ok == 1) {
				t.Error("Call:", err)
			}
			told(t, s, n.key, c.want)
		})
	}
}

func TestADialFailureIsToldOnceAndAtOnce(t *testing.T) {
	key := "tcp@" + newAddress()
	xc, s := wrapped(t, client.Failfast, nil, key)
	if err := xc.Call(t.Context(), "Greet", &question, new(string)); err == nil {
		t.Fatal("a call to nobody has succeeded")
	}
	told(t, s, key, account{undialled: 1, unknown: 1}) // unknown: the pick, which was let go
}

func TestAKeyWithoutANetworkIsTCP(t *testing.T) {
	key := newAddress()
	xc, s := wrapped(t, client.Failfast, nil, key)
	_ = xc.Call(t.Context(), "Greet", &question, new(string))
	told(t, s, key, account{undialled: 1, unknown: 1})
}

func TestACallWithoutAReplyTellsOnlyOfFailures(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	if err := xc.Call(t.Context(), "Greet", &question, nil); err != nil {
		t.Fatal(err)
	}
	told(t, s, n.key, account{written: 1}) // rpcx returns when the request is written
}

func TestFailoverPairsEveryPickWithItsOutcome(t *testing.T) {
	a, b := startNode(t), startNode(t)
	xc, s := wrapped(t, client.Failover, func(o *client.Option) { o.Retries = 2 }, a.key, b.key)
	if err := xc.Call(t.Context(), "Drop", &question, new(string)); err == nil {
		t.Fatal("a dropped call has succeeded")
	}
	// Retries + 1 attempts, and one Select more whose server rpcx does not call.
	if got, want := sum(s), (account{broken: 3, unknown: 1}); got != want {
		t.Errorf("the selector was told %+v, want %+v", got, want)
	}
}

func TestFailoverDoesNotGoBackToWhomItComesFrom(t *testing.T) {
	bad, good := startNode(t), startNode(t)
	bad.drops.Store(true)
	o := client.DefaultOption
	o.Retries = 1
	s := mustNew(t, WithPolicy(Random))
	xc := Wrap(client.NewXClient("Kelp", client.Failover, client.SelectByUser, newDiscovery(bad.key, good.key), o), s)
	defer xc.Close()
	ready(t, s)
	for range 50 {
		var reply string
		if err := xc.Call(t.Context(), "Greet", &question, &reply); err != nil {
			t.Fatal(err) // with a choice at random a quarter of the calls would meet the bad one twice
		}
	}
}

func TestFailtryTellsOfEveryAttemptAtTheServerThatItHasPickedOnce(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failtry, func(o *client.Option) { o.Retries = 2 }, n.key)
	if err := xc.Call(t.Context(), "Drop", &question, new(string)); err == nil {
		t.Fatal("a dropped call has succeeded")
	}
	told(t, s, n.key, account{broken: 3})

	nobody := "tcp@" + newAddress()
	xc, s = wrapped(t, client.Failtry, func(o *client.Option) { o.Retries = 2 }, nobody)
	if err := xc.Call(t.Context(), "Greet", &question, new(string)); err == nil {
		t.Fatal("a call to nobody has succeeded")
	}
	told(t, s, nobody, account{undialled: 4, unknown: 1}) // once by Select, then by each of three retries
}

func TestOneshotTellsOfDialFailuresOnly(t *testing.T) {
	n, nobody := startNode(t), "tcp@"+newAddress()
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	if err := xc.Oneshot(t.Context(), "Greet", &question); err != nil {
		t.Fatal(err)
	}
	told(t, s, n.key, account{written: 1})
	xc, s = wrapped(t, client.Failfast, nil, nobody)
	if err := xc.Oneshot(t.Context(), "Greet", &question); err == nil {
		t.Fatal("a call to nobody has succeeded")
	}
	told(t, s, nobody, account{undialled: 1, unknown: 1})
}

func raw(method string) *protocol.Message {
	m := protocol.NewMessage()
	m.SetMessageType(protocol.Request)
	m.SetSerializeType(protocol.JSON)
	m.ServicePath, m.ServiceMethod, m.Payload = "Kelp", method, []byte(`"who?"`)
	return m
}

func TestSendRawIsPairedAsACallIs(t *testing.T) {
	n := startNode(t)
	for _, mode := range []client.FailMode{client.Failfast, client.Failover, client.Failtry} {
		t.Run(mode.String(), func(t *testing.T) {
			xc, s := wrapped(t, mode, func(o *client.Option) { o.Retries = 1 }, n.key)
			_, payload, err := xc.SendRaw(t.Context(), raw("Greet"))
			if want := fmt.Sprintf("%q", n.name); string(payload) != want || err != nil {
				t.Fatalf("SendRaw: %q, %v, want %s", payload, err, want)
			}
			told(t, s, n.key, account{ok: 1})

			attempts, more := uint64(1), uint64(0)
			if mode != client.Failfast {
				attempts = 2
			}
			if mode == client.Failover { // selects once more than it calls
				more = 1
			}
			// rpcx forgets the error of the last attempt in Failover and Failtry, and returns three nils (B10).
			if _, _, err := xc.SendRaw(t.Context(), raw("Drop")); err == nil {
				t.Error("every attempt has failed, but SendRaw returns no error")
			}
			told(t, s, n.key, account{ok: 1, broken: attempts, unknown: more})
		})
	}
}

func TestStickyTellsOfTheServerThatItKeeps(t *testing.T) {
	a, b := startNode(t), startNode(t)
	xc, s := wrapped(t, client.Failfast, func(o *client.Option) { o.Sticky = true }, a.key, b.key)
	var first string
	for i := range 4 {
		var reply string
		if err := xc.Call(t.Context(), "Greet", &question, &reply); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = "tcp@" + reply
		} else if "tcp@"+reply != first {
			t.Fatalf("%s has answered, then %s: the XClient is not sticky", first, reply)
		}
	}
	told(t, s, first, account{ok: 4})
	if err := xc.Call(t.Context(), "Greet", &question, nil); err != nil {
		t.Fatal(err)
	}
	told(t, s, first, account{ok: 4, written: 1}) // nobody has answered
	if err := xc.Call(t.Context(), "Drop", &question, new(string)); err == nil {
		t.Fatal("a dropped call has succeeded")
	}
	told(t, s, first, account{ok: 4, written: 1, broken: 1})
}

// When several calls select at once, rpcx closes the connections to all servers but one.
func TestAStickyXClientKeepsWhoHasAnswered(t *testing.T) {
	x := &xclient{settings: settings{option: client.Option{Sticky: true}}}
	x.stickTo("first", health.Answered)
	for _, o := range []health.Outcome{health.NotSent, health.Broken, health.Late} {
		x.stickTo("second", o)
	}
	if key := x.stuckTo(); key != "first" {
		t.Errorf("it keeps the %s server", key)
	}
}

func TestAPanicLeavesNothingInFlight(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	p := client.NewPluginContainer()
	p.Add(panicking{})
	xc.SetPlugins(p)
	for _, call := range []func(){
		func() { _ = xc.Call(t.Context(), "Greet", &question, new(string)) },
		func() { _, _, _ = xc.SendRaw(t.Context(), raw("Greet")) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the plugin did not panic")
				}
			}()
			call()
		}()
	}
	told(t, s, n.key, account{unknown: 2})
}

type panicking struct{}

func (panicking) PreCall(context.Context, string, string, any) error { panic("a plugin's") }
