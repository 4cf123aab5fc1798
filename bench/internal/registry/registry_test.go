package registry

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *zktest.Server {
	t.Helper()
	server := zktest.Start(t)
	return server
}

func TestAServiceHasAsManyInstancesAsAskedForAndGoesWithTheRegistry(t *testing.T) {
	server := start(t)
	r, err := Connect(t.Context(), []string{server.Addr()}, "/some/bench", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	const n = 2*batchSize + 7
	s, err := r.Service("Arith", n)
	if err != nil {
		t.Fatal(err)
	}
	names, err := server.Children(s.Path())
	if err != nil || len(names) != n {
		t.Fatalf("%d instances, %v", len(names), err)
	}
	list := make(map[string]string)
	for i := range n {
		list[Key(i)] = Metadata
	}
	changes := []error{s.Remove(Key(0)), s.Set(Key(1), "weight=2"), s.Add(Key(n), "weight=3")}
	if err := errors.Join(changes...); err != nil {
		t.Fatal(err)
	}
	delete(list, Key(0))
	list[Key(1)], list[Key(n)] = "weight=2", "weight=3"
	if got, err := s.Digest(); err != nil || got != Digest(list) || got == Digest(nil) {
		t.Errorf("digest %s, %v", got, err)
	}
	if got := s.Made(); got != Digest(list) {
		t.Errorf("what was made is %s, not %s", got, Digest(list))
	}
	if err := s.Remove(Key(0)); !errors.Is(err, zk.ErrNoNode) || !strings.Contains(err.Error(), s.Path()) {
		t.Errorf("removing nobody: %v", err)
	}
	if got := s.Made(); got != Digest(list) {
		t.Errorf("what failed has made a difference: %s", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Get("/some/bench"); !errors.Is(err, zktest.CodeNoNode) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := server.Get("/some"); err != nil { // which may be somebody else's
		t.Errorf("the base's parent: %v", err)
	}
}

func TestAnOwnerIsAnotherSession(t *testing.T) {
	server := start(t)
	r, err := Connect(t.Context(), []string{server.Addr()}, "/bench", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Forget()
	s, err := r.Service("Arith", 1)
	if err != nil {
		t.Fatal(err)
	}
	if owner, _, err := r.Owned(t.Context(), s.Name, Key(0), -1); err != nil || owner != 0 {
		t.Errorf("a persistent node is nobody's: %d, %v", owner, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := r.Owned(ctx, s.Name, Key(0), 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the same owner counts: %v", err)
	}
	if _, exists, err := r.Owner(s.Name, Key(1)); exists || err != nil {
		t.Errorf("%v, %v", exists, err)
	}
}

func TestNobodyAtTheAddressIsAnError(t *testing.T) {
	server := start(t)
	server.Refuse(true)
	_, err := Connect(t.Context(), []string{server.Addr()}, "/bench", 100*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "no ZooKeeper answers") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Connect(ctx, []string{server.Addr()}, "/bench", time.Minute); err == nil {
		t.Error("connected although the context has ended")
	}
}
