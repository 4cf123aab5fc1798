package serverplugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// TestShutdownCallsUnregister is how rpcx ends: with its locks held it unregisters, and calls back into nothing.
func TestShutdownCallsUnregister(t *testing.T) {
	addr := freeAddress(t)
	s := server.NewServer()
	p, zk := onLoopback(t, "tcp@"+addr, WithServer(s), WithDrainWait(50*time.Millisecond))
	s.Plugins.Add(p)
	if err := s.RegisterName("Arith", new(Arith), "weight=3"); err != nil {
		t.Fatal(err)
	}
	if err := s.RegisterFunctionName("Functions", "one", func(context.Context, *Args, *Reply) error { return nil }, "weight=1"); err != nil {
		t.Fatal(err)
	}
	served := serving(func() error { return s.Serve("tcp", addr) })
	if err := p.WaitRegistered(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(p.Services) != 2 {
		t.Errorf("services %q", p.Services)
	}
	if err := p.Shutdown(t.Context(), s); err != nil {
		t.Error(err)
	}
	<-served
	for _, path := range []string{"/rpcx/Arith", "/rpcx/Functions"} {
		if children, err := zk.Children(path); err != nil || len(children) > 0 {
			t.Errorf("%s: %q, %v", path, children, err)
		}
	}
	if n := len(zk.Sessions()); n > 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestShutdownIsBoundedWhenZooKeeperHangs leaves the server to WithServer.
func TestShutdownIsBoundedWhenZooKeeperHangs(t *testing.T) {
	addr := freeAddress(t)
	s := server.NewServer()
	p, zk := onLoopback(t, "tcp@"+addr, WithServer(s), WithDrainWait(50*time.Millisecond))
	s.Plugins.Add(p)
	if err := s.RegisterName("Arith", new(Arith), "weight=3"); err != nil {
		t.Fatal(err)
	}
	served := serving(func() error { return s.Serve("tcp", addr) })
	if err := p.WaitRegistered(t.Context()); err != nil {
		t.Fatal(err)
	}
	zk.Silence(true)
	start := time.Now()
	if err := p.Shutdown(t.Context(), nil); !errors.Is(err, ErrUnconfirmed) {
		t.Error(err)
	}
	<-served
	if took := time.Since(start); took > 10*time.Second { // a second each to say inactive, to unregister and to stop
		t.Errorf("took %v", took)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Error("the server still listens")
	}
}

// TestShutdownLetsACallFinish has one under way that outlasts the drain.
func TestShutdownLetsACallFinish(t *testing.T) {
	addr := freeAddress(t)
	s := server.NewServer()
	p, zk := onLoopback(t, "tcp@"+addr, WithServer(s), WithDrainWait(10*time.Millisecond))
	s.Plugins.Add(p)
	began, mayEnd := make(chan struct{}), make(chan struct{})
	if err := s.RegisterFunctionName("Slow", "answer", func(_ context.Context, _ *Args, reply *Reply) error {
		close(began)
		<-mayEnd
		reply.C = 42
		return nil
	}, ""); err != nil {
		t.Fatal(err)
	}
	served := serving(func() error { return s.Serve("tcp", addr) })
	if err := p.WaitRegistered(t.Context()); err != nil {
		t.Fatal(err)
	}
	d, err := zkdiscovery.New("rpcx", "Slow", []string{"zk:2181"}, zkdiscovery.WithDialer(zk.Dial), zkdiscovery.WithoutCache(), zkdiscovery.WithoutGuard())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	xc := client.NewXClient("Slow", client.Failfast, client.RandomSelect, d, client.DefaultOption)
	defer xc.Close()
	answered, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		var reply Reply
		err := xc.Call(t.Context(), "answer", &Args{}, &reply)
		if err == nil && reply.C != 42 {
			err = fmt.Errorf("the answer is %d", reply.C)
		}
		answered <- err
	}()
	<-began
	go func() { ended <- p.Shutdown(t.Context(), s) }()
	for len(d.GetServices()) > 0 { // drained
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-ended:
		t.Errorf("Shutdown has not waited for the call: %v", err)
	default:
	}
	close(mayEnd)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-served
}
