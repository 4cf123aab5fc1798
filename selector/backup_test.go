package selector

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// backup sets the latency after which the second request goes out.
func backup(latency time.Duration) func(*client.Option) {
	return func(o *client.Option) { o.BackupLatency = latency }
}

const never = time.Hour

func TestFailbackupWithAQuickAnswerIsOneRequest(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failbackup, backup(never), n.key)
	var reply string
	if err := xc.Call(t.Context(), "Greet", &question, &reply); err != nil || reply != n.name {
		t.Errorf("Call: %q, %v, want %q", reply, err, n.name)
	}
	told(t, s, n.key, account{ok: 1})
	if err := xc.Call(t.Context(), "Refuse", &question, &reply); err == nil || err.Error() != "no" {
		t.Errorf("Call: %v, want the service's error", err)
	}
	told(t, s, n.key, account{ok: 1, refused: 1})
	if err := xc.Call(t.Context(), "Greet", &question, nil); err != nil {
		t.Error("Call without a reply:", err)
	}
	told(t, s, n.key, account{ok: 1, refused: 1, written: 1})
}

// Two servers of which one is slow: whoever is called first, the answer is the quick one's, from another server than the first. And the
// selector hears what the slow one took, although the call has returned long before and its context has ended.
func TestFailbackupTakesTheFirstAnswerAndTellsOfTheOther(t *testing.T) {
	quick, slow := startNode(t), startNode(t)
	slow.delay.Store(int64(2 * time.Second))
	xc, s := wrapped(t, client.Failbackup, backup(5*time.Millisecond), quick.key, slow.key)
	ready(t, s)
	const calls = 20
	for range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		var reply string
		if err := xc.Call(ctx, "Greet", &question, &reply); err != nil || reply != quick.name {
			t.Errorf("Call: %q, %v, want %q", reply, err, quick.name)
		}
		cancel()
	}
	eventually(t, "nothing is in flight", func() bool { return sum(s).inFlight == 0 })
	if got := accountOf(s, quick.key); got != (account{ok: calls}) {
		t.Errorf("of the quick one the selector was told %+v, want %d answers", got, calls)
	}
	got := accountOf(s, slow.key)
	if got.ok == 0 || got.ok != uint64(slow.greeted.Load()) {
		t.Errorf("of the slow one the selector was told %+v, which has answered %d", got, slow.greeted.Load())
	}
}

func TestFailbackupTakesNoFailureForAnAnswer(t *testing.T) {
	bad, good := startNode(t), startNode(t)
	bad.drops.Store(true)
	xc, s := wrapped(t, client.Failbackup, backup(never), bad.key, good.key)
	ready(t, s)
	for range 20 {
		var reply string
		if err := xc.Call(t.Context(), "Greet", &question, &reply); err != nil || reply != good.name {
			t.Fatalf("Call: %q, %v, want %q at once", reply, err, good.name)
		}
	}
	if got := accountOf(s, bad.key); got.broken == 0 || got.inFlight != 0 {
		t.Errorf("of the bad one the selector was told %+v", got)
	}
}

// In rpcx a second request that cannot be sent makes the call return the first one's error, which is nil, with an empty reply (B9).
func TestFailbackupThatHasNobodyToCallFails(t *testing.T) {
	xc, _ := wrapped(t, client.Failbackup, backup(time.Millisecond))
	if err := xc.Call(t.Context(), "Greet", &question, new(string)); !errors.Is(err, client.ErrXClientNoServer) {
		t.Error("Call without servers:", err)
	}

	n := startNode(t)
	d := newDiscovery(n.key)
	o := client.DefaultOption
	o.BackupLatency = 20 * time.Millisecond
	xc = Wrap(client.NewXClient("Kelp", client.Failbackup, client.SelectByUser, d, o), mustNew(t))
	defer xc.Close()
	called := make(chan error, 1)
	var reply string
	go func() { called <- xc.Call(t.Context(), "Wait", &question, &reply) }()
	eventually(t, "the first request has arrived", func() bool { return n.waiting.Load() > 0 })
	d.set() // the second finds nobody
	select {
	case err := <-called:
		t.Fatalf("the call has ended with %q and %v before anybody has answered", reply, err)
	case <-time.After(100 * time.Millisecond):
	}
	n.release <- struct{}{}
	if err := <-called; err != nil || reply != n.name {
		t.Errorf("Call: %q, %v, want the first request's answer", reply, err)
	}
}

func TestFailbackupThatFailsTwiceReturnsTheError(t *testing.T) {
	a, b := startNode(t), startNode(t)
	xc, s := wrapped(t, client.Failbackup, backup(never), a.key, b.key)
	ready(t, s)
	if err := xc.Call(t.Context(), "Drop", &question, new(string)); err == nil {
		t.Error("two dropped requests make a call that succeeds")
	}
	if got := sum(s); got != (account{broken: 2}) {
		t.Errorf("the selector was told %+v, want two broken connections", got)
	}
}

func TestFailbackupEndsWithItsContext(t *testing.T) {
	a, b := startNode(t), startNode(t)
	for _, c := range []struct {
		what    string
		latency time.Duration
		want    account
	}{
		{"before the backup", never, account{late: 1}},
		{"after it", time.Millisecond, account{late: 2}},
	} {
		t.Run(c.what, func(t *testing.T) {
			xc, s := wrapped(t, client.Failbackup, backup(c.latency), a.key, b.key)
			ready(t, s)
			if err := xc.Call(within(t, time.Second), "Wait", &question, new(string)); !errors.Is(err, context.DeadlineExceeded) {
				t.Error("Call:", err)
			}
			if got := sum(s); got != c.want {
				t.Errorf("the selector was told %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestFailbackupInTimeDoesNotShareItsReply(t *testing.T) {
	n := startNode(t)
	xc, _ := wrapped(t, client.Failbackup, backup(time.Millisecond), n.key)
	reply := "untouched"
	if err := xc.Call(within(t, 200*time.Millisecond), "Wait", &question, &reply); err == nil {
		t.Fatal("nobody has answered, but the call has")
	}
	n.end() // whatever answers now must not write to what the caller has back
	if reply != "untouched" {
		t.Errorf("the reply of a call that failed is %q", reply)
	}
}

// A server that swallows requests is charged with one until its time is up: the deadline, or a minute when there is none.
func TestFailbackupGivesUpALoserInTime(t *testing.T) {
	registerSleepy()
	const quick, stuck = "sleepy@127.0.0.1:1", "sleepy@127.0.0.1:9999"
	for what, deadline := range map[string]time.Duration{"with the call's deadline": 20 * time.Second, "after a minute without one": 0} {
		t.Run(what, func(t *testing.T) {
			bubbles.Test(t, func(t *testing.T) {
				xc, s := wrapped(t, client.Failbackup, backup(time.Second), quick, stuck)
				defer func() {
					_ = xc.Close()
					synctest.Wait() // rpcx gives its channel back off the path
				}()
				time.Sleep(time.Second) // nobody can be probed there, and so both are tried
				synctest.Wait()
				var up time.Time
				for accountOf(s, stuck).inFlight == 0 {
					ctx, cancel := t.Context(), context.CancelFunc(func() {})
					if up = time.Now().Add(deadline); deadline > 0 {
						ctx, cancel = context.WithDeadline(ctx, up)
					}
					if err := xc.Call(ctx, "Greet", &question, new(string)); err != nil {
						t.Fatal(err)
					}
					cancel() // as callers do, which must not count
					if deadline == 0 {
						up = time.Now().Add(time.Minute)
					}
				}
				time.Sleep(time.Until(up) - time.Millisecond)
				synctest.Wait()
				if got := accountOf(s, stuck); got != (account{inFlight: 1}) {
					t.Errorf("before the time is up the selector was told %+v", got)
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if got := accountOf(s, stuck); got != (account{late: 1}) {
					t.Errorf("when the time is up the selector was told %+v", got)
				}
			})
		})
	}
}

// Close waits for the losers that it follows, but not for their servers.
func TestCloseDoesNotWaitForALoser(t *testing.T) {
	registerSleepy()
	bubbles.Test(t, func(t *testing.T) {
		xc, s := wrapped(t, client.Failbackup, backup(time.Second), "sleepy@127.0.0.1:1", "sleepy@127.0.0.1:9999")
		time.Sleep(time.Second)
		for sum(s).inFlight == 0 {
			if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		_ = xc.Close()
		if took := time.Since(began); took > 0 || sum(s).inFlight != 0 {
			t.Errorf("Close took %v, and %d are in flight", took, sum(s).inFlight)
		}
		synctest.Wait()
	})
}

// spelled is an argument that counts how often it is encoded.
type spelled struct{ times atomic.Int64 }

func (s *spelled) MarshalJSON() ([]byte, error) {
	s.times.Add(1)
	return []byte(`"who?"`), nil
}

// The end of a request that had lost was judged by encoding its arguments, which were the caller's again: a map that he wrote to ended the process.
func TestArgumentsAreNotReadWhenNobodyWaitsForThemAnyMore(t *testing.T) {
	for what, call := range map[string]func(t *testing.T, xc client.XClient, args *spelled, arrived func(requests int64)){
		"of a request that has lost": func(t *testing.T, xc client.XClient, args *spelled, arrived func(int64)) {
			if err := xc.Call(t.Context(), "Greet", args, new(string)); err != nil {
				t.Fatal(err)
			}
			arrived(2)
		},
		"of one that was given up": func(t *testing.T, xc client.XClient, args *spelled, arrived func(int64)) {
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := xc.Go(ctx, "Greet", args, new(string), nil); err != nil {
				t.Fatal(err)
			}
			arrived(1)
			cancel()
		},
	} {
		t.Run(what, func(t *testing.T) {
			n := startNode(t)
			n.stallsOnce.Store(true)
			xc, s := wrapped(t, client.Failbackup, func(o *client.Option) { o.BackupLatency, o.SerializeType = 20*time.Millisecond, protocol.JSON }, n.key)
			ready(t, s)
			args := new(spelled)
			call(t, xc, args, func(requests int64) {
				eventually(t, "every request has arrived", func() bool { return n.greeted.Load() == requests })
			})
			encoded := args.times.Load()
			_ = xc.Close()
			if now := args.times.Load(); now != encoded {
				t.Errorf("the arguments were encoded %d times, and once more afterwards", encoded)
			}
		})
	}
}

// A dial that failed left no trace in the race, and the backup dialled the same server again.
func TestTheBackupGoesToAnotherServerThanTheOneThatCouldNotBeDialled(t *testing.T) {
	for range 24 { // while none can be used, both requests choose at random
		nobody, back := newAddress(), newAddress()
		s := mustNew(t, WithEjection(Ejection{DialBase: time.Hour, DialMax: time.Hour}))
		o := client.DefaultOption
		o.BackupLatency = never
		xc := NewXClient("Kelp", client.Failbackup, newDiscovery("tcp@"+nobody, "tcp@"+back), o, s)
		defer xc.Close()
		eventually(t, "both are aside", func() bool { return s.of(t, "tcp@"+nobody).State == Aside && s.of(t, "tcp@"+back).State == Aside })
		startAt(t, back)
		if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != nil {
			t.Fatalf("one of two servers is there, and the call: %v", err)
		}
	}
}
