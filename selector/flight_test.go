package selector

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

func TestGoReturnsACallOfItsOwnThatIsDoneOnce(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	done := make(chan *client.Call, 4)
	reply := new(string)
	call, err := xc.Go(t.Context(), "Greet", &question, reply, done)
	if err != nil {
		t.Fatal(err)
	}
	if call.ServicePath != "Kelp" || call.ServiceMethod != "Greet" || call.Args != any(&question) || call.Reply != any(reply) || call.Done != done {
		t.Errorf("Go returned %+v", call)
	}
	if ended := <-done; ended != call || call.Error != nil || *reply != n.name {
		t.Fatalf("%p has ended with %v and %q, want %p with %q", ended, call.Error, *reply, call, n.name)
	}
	told(t, s, n.key, account{ok: 1})

	if call, err = xc.Go(t.Context(), "Refuse", &question, new(string), done); err != nil {
		t.Fatal(err)
	}
	if <-done; call.Error == nil {
		t.Error("the service's error is lost")
	}
	told(t, s, n.key, account{ok: 1, refused: 1})

	// A connection that breaks ends its calls; when it is closed with the XClient, rpcx ends them again.
	if call, err = xc.Go(t.Context(), "Drop", &question, new(string), nil); err != nil {
		t.Fatal(err)
	}
	if <-call.Done; call.Error == nil {
		t.Error("a dropped call has succeeded")
	}
	told(t, s, n.key, account{ok: 1, refused: 1, broken: 1})
	_ = xc.Close()
	if len(call.Done) > 0 {
		t.Error("the call is done twice")
	}
}

func TestGoReleasesThePickWithTheContextButDeliversTheAnswer(t *testing.T) {
	for _, c := range []struct {
		what string
		end  func(context.Context) (context.Context, context.CancelFunc)
		want account
	}{
		{"its deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, account{late: 1}},
		{"the caller", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, account{givenUp: 1}},
	} {
		t.Run(c.what, func(t *testing.T) {
			n := startNode(t)
			xc, s := wrapped(t, client.Failfast, nil, n.key)
			ctx, cancel := c.end(t.Context())
			defer cancel()
			call, err := xc.Go(ctx, "Wait", &question, new(string), nil)
			if err != nil {
				t.Fatal(err)
			}
			told(t, s, n.key, c.want)
			n.release <- struct{}{}
			if <-call.Done; call.Error != nil {
				t.Error("the late answer:", call.Error)
			}
			told(t, s, n.key, c.want) // and is not told again
		})
	}
}

func TestCloseEndsWhatGoHasBegun(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	call, err := xc.Go(t.Context(), "Wait", &question, new(string), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = xc.Close()
	select {
	case <-call.Done:
		if !errors.Is(call.Error, client.ErrShutdown) {
			t.Error("the call has ended with", call.Error)
		}
	default:
		t.Error("Close has returned before the call has ended")
	}
	told(t, s, n.key, account{givenUp: 1})
	if _, err := xc.Go(t.Context(), "Greet", &question, new(string), nil); err == nil {
		t.Error("a closed XClient calls")
	}
	_ = xc.Close() // a second time does no harm
}

func TestGoThatCannotSendReleasesThePick(t *testing.T) {
	nobody := "tcp@" + newAddress()
	xc, s := wrapped(t, client.Failfast, nil, nobody)
	if call, err := xc.Go(t.Context(), "Greet", &question, new(string), nil); err == nil || call != nil {
		t.Errorf("Go: %v, %v, want an error", call, err)
	}
	told(t, s, nobody, account{undialled: 1, unknown: 1})
	xc, _ = wrapped(t, client.Failfast, nil)
	if _, err := xc.Go(t.Context(), "Greet", &question, new(string), nil); !errors.Is(err, client.ErrXClientNoServer) {
		t.Error("Go without servers:", err)
	}
}

func TestGoWithoutAReplyTellsNothing(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	call, err := xc.Go(t.Context(), "Greet", &question, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-call.Done
	told(t, s, n.key, account{written: 1})
}

func TestGoDoesNotWaitForAFullChannel(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	done := make(chan *client.Call, 1)
	for range 3 {
		if _, err := xc.Go(t.Context(), "Greet", &question, new(string), done); err != nil {
			t.Fatal(err)
		}
	}
	told(t, s, n.key, account{ok: 3})
	_ = xc.Close() // which waits for the deliveries
}
