package register

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const node = "/prod/rpcx/Greeter/tcp@127.0.0.1:8972"

func newServer(t *testing.T) *zktest.Server {
	t.Helper()
	zk := zktest.NewServer(zktest.WithTick(100 * time.Millisecond))
	t.Cleanup(zk.Close)
	if err := zk.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return zk
}

func config(zk *zktest.Server) Config {
	return Config{
		Servers: []string{zk.Addr() + "/prod"}, BasePath: "/rpcx", ServicePath: "Greeter", Address: "tcp@127.0.0.1:8972",
		Metadata: "weight=1", SessionTimeout: time.Second,
	}
}

func register(t *testing.T, zk *zktest.Server) *Registration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := Register(ctx, config(zk))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestNodeIsEphemeralAndGoesWithTheRegistration(t *testing.T) {
	zk := newServer(t)
	r := register(t, zk)
	n, err := zk.Get(node)
	if err != nil || string(n.Data) != "weight=1" || n.Stat.EphemeralOwner == 0 {
		t.Errorf("node %q of session %#x, error %v", n.Data, n.Stat.EphemeralOwner, err)
	}
	r.Close()
	if _, err := zk.Get(node); !errors.Is(err, zktest.CodeNoNode) {
		t.Errorf("after Close: %v, want no node", err)
	}
}

func TestMetadataFollowsSet(t *testing.T) {
	zk := newServer(t)
	r := register(t, zk)
	defer r.Close()
	r.Set("weight=6")
	await(t, "the new metadata", func() bool {
		n, err := zk.Get(node)
		return err == nil && string(n.Data) == "weight=6"
	})
}

func TestExpiryRegistersAgainWithTheMetadataOfLate(t *testing.T) {
	zk := newServer(t)
	r := register(t, zk)
	defer r.Close()
	was, err := zk.Get(node)
	if err != nil {
		t.Fatal(err)
	}
	zk.Stop()
	r.Set("weight=6")
	zk.ExpireAll()
	if err := zk.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the node in a new session", func() bool {
		n, err := zk.Get(node)
		return err == nil && n.Stat.EphemeralOwner != was.Stat.EphemeralOwner && string(n.Data) == "weight=6"
	})
}

// A server that was killed and started again finds the node of its old session, which must not take the new one's place when it expires.
func TestNodeOfAnEarlierSessionIsReplaced(t *testing.T) {
	zk := newServer(t)
	killed := register(t, zk)
	defer killed.Close()
	was, err := zk.Get(node)
	if err != nil {
		t.Fatal(err)
	}
	r := register(t, zk)
	defer r.Close()
	is, err := zk.Get(node)
	if err != nil || is.Stat.EphemeralOwner == was.Stat.EphemeralOwner {
		t.Errorf("session %#x, was %#x, error %v", is.Stat.EphemeralOwner, was.Stat.EphemeralOwner, err)
	}
}

func TestRegisterGivesUpWithItsContext(t *testing.T) {
	zk := newServer(t)
	zk.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := Register(ctx, config(zk))
	if err == nil {
		r.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
}
