package filecache

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"
)

// who is a service that says who it is.
type who string

func (w who) Am(_ context.Context, _ *struct{}, reply *string) error {
	*reply = string(w)
	return nil
}

// serve starts a server and returns its key.
func serve(t *testing.T, name string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.NewServer()
	if err := s.RegisterName("Who", who(name), ""); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.ServeListener("tcp", listener) // ends with Close
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return "tcp@" + listener.Addr().String()
}

// caller is what XClient and OneClient have in common here.
type caller func(ctx context.Context) (string, error)

func callX(x client.XClient) caller {
	return func(ctx context.Context) (name string, err error) {
		return name, x.Call(ctx, "Am", &struct{}{}, &name)
	}
}

// answers waits until calls are answered by the server called want.
func (call caller) answers(t *testing.T, want string) {
	t.Helper()
	eventually(t, func() bool {
		name, err := callOnce(t, call)
		return err == nil && name == want
	})
}

func callOnce(t *testing.T, call caller) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return call(ctx)
}

func newXClient(t *testing.T, d client.ServiceDiscovery) client.XClient {
	t.Helper()
	return client.NewXClient("Who", client.Failover, client.RoundRobin, d, client.DefaultOption)
}

// Hazards B1 to B4 and B6 with the XClient that they were met with.
func TestXClientGoesOnCalling(t *testing.T) {
	dir := t.TempDir()
	a, b := serve(t, "a"), serve(t, "b")

	s := newSource(a)
	d := mustWrap(t, s, dir, WithService("Who"))
	x := newXClient(t, d)
	callX(x).answers(t, "a")
	s.say(b)
	callX(x).answers(t, "b")
	s.say()        // the registry has lost everything
	for range 20 { // whoever answers its heartbeat may, a too: it was let go as one of two, in the minute that turned out to be one of loss
		if name, err := callOnce(t, callX(x)); err != nil {
			t.Fatalf("%q, %v after an empty list", name, err)
		}
	}
	_ = x.Close()
	s.say(a, b) // XClient has closed its channel, or is about to
	s.say(b)
	d.Close()

	d = mustWrap(t, newSource(), dir, WithService("Who")) // restarted while the registry is away
	x = newXClient(t, d)
	callX(x).answers(t, "b")
	_ = x.Close()
	d.Close()
}

// Hazard B5, C4: OneClient knows its discoveries by Clone only, and dereferences nil if that fails.
func TestOneClientGoesOnCalling(t *testing.T) {
	dir := t.TempDir()
	a := serve(t, "a")
	template := newSource()
	template.clone = func(string) (client.ServiceDiscovery, error) { return newSource(a), nil }

	one := func(d client.ServiceDiscovery) (caller, *client.OneClient) {
		c := client.NewOneClient(client.Failover, client.RoundRobin, d, client.DefaultOption)
		return func(ctx context.Context) (name string, err error) {
			return name, c.Call(ctx, "Who", "Am", &struct{}{}, &name)
		}, c
	}
	d := mustWrap(t, template, dir)
	call, c := one(d)
	call.answers(t, "a")
	c.Close()
	d.Close()

	template.clone = func(string) (client.ServiceDiscovery, error) { return nil, errors.New("registry away") }
	d = mustWrap(t, template, dir)
	call, c = one(d)
	call.answers(t, "a") // from the file
	c.Close()
	d.Close()
}

// Many XClients come and go while lists change: no race, no panic, and no goroutine is left (TestMain looks).
func TestXClientsComeAndGo(t *testing.T) {
	a, b := serve(t, "a"), serve(t, "b")
	s := newSource(a, b)
	d := mustWrap(t, s, t.TempDir(), WithService("Who"))
	defer d.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for lists := [][]string{{a}, {b}, {a, b}, {}}; ; lists = append(lists[1:], lists[0]) {
			select {
			case <-stop:
				return
			default:
				s.say(lists[0]...)
			}
		}
	}()
	for range 50 {
		x := newXClient(t, d)
		if name, err := callOnce(t, callX(x)); err != nil {
			t.Errorf("%q, %v", name, err)
		}
		_ = x.Close()
	}
	close(stop)
	<-stopped
	eventually(t, func() bool { return d.(*fileBacked).shown.set.Len() == 0 }) // RemoveWatcher runs in a goroutine of XClient.Close
}
