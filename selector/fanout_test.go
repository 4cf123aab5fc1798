package selector

import (
	"context"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

func TestBroadcastAndForkTellOfDialFailuresAndBrokenConnections(t *testing.T) {
	for _, c := range []struct {
		what string
		call func(xc client.XClient, method string) error
	}{
		{"Broadcast", func(xc client.XClient, method string) error {
			return xc.Broadcast(t.Context(), method, &question, new(string))
		}},
		{"Fork", func(xc client.XClient, method string) error {
			return xc.Fork(t.Context(), method, &question, new(string))
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			n, nobody := startNode(t), "tcp@"+newAddress()
			xc, s := wrapped(t, client.Failfast, nil, n.key, nobody)
			if err := c.call(xc, "Greet"); err != nil {
				t.Fatal(err)
			}
			told(t, s, nobody, account{undialled: 1})
			told(t, s, n.key, account{}) // who has answered is not said
			ready := func() bool { return s.of(t, n.key).State == Up }
			eventually(t, "it is up", ready)
			began := time.Now()
			if err := c.call(xc, "Drop"); err == nil {
				t.Fatal("a dropped call has succeeded")
			}
			// That a connection has ended is known, but not why: the server is asked whether it is there.
			eventually(t, "the server is asked", func() bool { return s.of(t, n.key).Since.After(began.Add(-time.Millisecond)) && ready() })
			if err := c.call(xc, "Refuse"); err == nil {
				t.Fatal("a refused call has succeeded")
			}
			told(t, s, n.key, account{})
		})
	}
}

func TestABroadcastTellsNothingOfAConnectionThatIsClosedOnPurpose(t *testing.T) {
	racyInRPCX(t, "client.go:241 and :755")
	n := startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	called := make(chan error, 1)
	go func() { called <- xc.Broadcast(t.Context(), "Wait", &question, new(string)) }()
	eventually(t, "the call has arrived", func() bool { return n.waiting.Load() > 0 })
	_ = xc.Close()
	if err := <-called; err == nil {
		t.Error("a call of a closed XClient has succeeded")
	}
	told(t, s, n.key, account{})
}

func TestInformTellsWhoCameToWhat(t *testing.T) {
	good, refusing, dropping := startNode(t), startNode(t), startNode(t)
	dropping.drops.Store(true)
	refusing.refuses.Store(true)
	xc, s := wrapped(t, client.Failfast, nil, good.key, refusing.key, dropping.key)
	receipts, err := xc.Inform(t.Context(), "Greet", &question, new(string))
	if len(receipts) != 3 || err == nil {
		t.Fatalf("Inform: %v, %v", receipts, err)
	}
	told(t, s, good.key, account{ok: 1})
	told(t, s, refusing.key, account{refused: 1})
	told(t, s, dropping.key, account{broken: 1})

	dropping.drops.Store(false)
	if _, err := xc.Inform(t.Context(), "Greet", &question, nil); err != nil {
		t.Error("Inform without a reply:", err)
	}
	told(t, s, good.key, account{ok: 1})
}

// toucher answers with nothing, or breaks the connection.
type toucher struct{ drops bool }

func (o *toucher) Touch(ctx context.Context, _ *string, _ *struct{}) error {
	if o.drops {
		return (&kelp{}).Drop(ctx, nil, nil)
	}
	return nil
}

// All values without a size may have one address, by which the replies were told apart.
func TestInformCreditsNobodyForAnAnswerThatIsEveryones(t *testing.T) {
	good, dropping := startNode(t), startNode(t)
	for n, service := range map[*node]*toucher{good: {}, dropping: {drops: true}} {
		if err := n.server.RegisterName("Touch", service, ""); err != nil {
			t.Fatal(err)
		}
	}
	s := mustNew(t)
	xc := NewXClient("Touch", client.Failfast, newDiscovery(good.key, dropping.key), client.DefaultOption, s)
	defer xc.Close()
	for range 10 {
		ready(t, s)
		_, _ = xc.Inform(t.Context(), "Touch", &question, new(struct{}))
	}
	told(t, s, good.key, account{})
	told(t, s, dropping.key, account{})
}

// A receipt has no network. A server that could not be dialled was brought back by the answer of another one at its address.
func TestInformCreditsNobodyWhereTwoServersHaveOneAddress(t *testing.T) {
	n := startNode(t)
	other := "quic@" + n.name
	xc, s := wrapped(t, client.Failfast, nil, n.key, other)
	if _, err := xc.Inform(t.Context(), "Greet", &question, new(string)); err != nil {
		t.Fatal(err)
	}
	if got := accountOf(s, other); got.ok > 0 || s.of(t, other).State == Up {
		t.Errorf("of the server that could not be dialled the selector was told %+v; it is %v", got, s.of(t, other).State)
	}
	told(t, s, n.key, account{})
}
