package selector

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
)

// witness is a plugin with every hook of rpcx's, which notes what it is called for.
type witness struct {
	mu      sync.Mutex
	seen    []string
	postErr error
}

func (w *witness) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, what)
}

// take returns what was noted.
func (w *witness) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.seen = nil }()
	return w.seen
}

func (w *witness) PreCall(context.Context, string, string, any) error { w.note("PreCall"); return nil }

func (w *witness) PostCall(context.Context, string, string, any, any, error) error {
	w.note("PostCall")
	return w.postErr
}
func (w *witness) ConnCreated(c net.Conn) (net.Conn, error) { w.note("ConnCreated"); return c, nil }
func (w *witness) ConnCreateFailed(string, string)          { w.note("ConnCreateFailed") }
func (w *witness) ClientConnected(c net.Conn) (net.Conn, error) {
	w.note("ClientConnected")
	return c, nil
}

func (w *witness) ClientConnectionClose(net.Conn) error { w.note("ClientConnectionClose"); return nil }

func (w *witness) ClientBeforeEncode(*protocol.Message) error {
	w.note("ClientBeforeEncode")
	return nil
}

func (w *witness) ClientAfterDecode(*protocol.Message) error { w.note("ClientAfterDecode"); return nil }

func (w *witness) WrapSelect(fn client.SelectFunc) client.SelectFunc {
	return func(ctx context.Context, servicePath, serviceMethod string, args any) string {
		w.note("Select")
		return fn(ctx, servicePath, serviceMethod, args)
	}
}

func containing(all ...client.Plugin) client.PluginContainer {
	c := client.NewPluginContainer()
	for _, p := range all {
		c.Add(p)
	}
	return c
}

func TestEveryPluginIsCalledAsWithoutTheWrapper(t *testing.T) {
	n := startNode(t)
	bare := client.NewXClient("Kelp", client.Failfast, client.RandomSelect, newDiscovery(n.key), client.DefaultOption)
	ours, _ := wrapped(t, client.Failfast, nil, n.key)
	var seen [2][]string
	for i, xc := range []client.XClient{bare, ours} {
		w := &witness{}
		xc.SetPlugins(containing(w))
		if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != nil {
			t.Fatal(err)
		}
		_ = xc.Close()
		seen[i] = w.take()
	}
	if !slices.Equal(seen[0], seen[1]) || len(seen[0]) != 8 {
		t.Errorf("the plugins saw %v, want %v", seen[1], seen[0])
	}

	w := &witness{}
	ours, _ = wrapped(t, client.Failfast, nil, "tcp@"+newAddress())
	ours.SetPlugins(containing(w))
	_ = ours.Call(t.Context(), "Greet", &question, new(string))
	if got := w.take(); !slices.Equal(got, []string{"Select", "ConnCreateFailed"}) {
		t.Errorf("the plugins saw %v of a dial that failed", got)
	}
}

// An error that a plugin returns for a call stops the plugins behind it, but not the feedback.
func TestAPluginThatFailsKeepsNothingFromTheSelector(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	first, second := &witness{postErr: errors.New("a plugin's")}, &witness{}
	xc.SetPlugins(containing(first, second))
	if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != nil {
		t.Fatal(err)
	}
	told(t, s, n.key, account{ok: 1})
	if slices.Contains(second.take(), "PostCall") {
		t.Error("rpcx's own rule does not hold any more: the plugin behind the one that failed was called")
	}
}

func TestPluginsMayBeSetAtAnyTime(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	call := func() {
		t.Helper()
		if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != nil {
			t.Fatal(err)
		}
	}
	call() // the connection is made
	first, second := &witness{}, &witness{}
	xc.SetPlugins(containing(first))
	call()
	xc.GetPlugins().Add(second)
	call()
	xc.SetPlugins(nil)
	call()
	if got := len(first.take()); got != 2*5 { // all hooks but those of a connection
		t.Errorf("the first plugin was called %d times, want 10", got)
	}
	if got := len(second.take()); got != 5 {
		t.Errorf("the second plugin was called %d times, want 5", got)
	}
	told(t, s, n.key, account{ok: 4})
	if all := xc.GetPlugins().All(); len(all) != 0 {
		t.Errorf("after SetPlugins(nil) there are %d plugins", len(all))
	}
}

func TestAPluginThatChoosesAnotherServerIsBelieved(t *testing.T) {
	a, b := startNode(t), startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, a.key, b.key)
	xc.SetPlugins(containing(always(b.key)))
	for range 20 {
		if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != nil {
			t.Fatal(err)
		}
	}
	if got := accountOf(s, a.key); got.ok > 0 || got.inFlight != 0 {
		t.Errorf("of the server that was not called the selector was told %+v", got)
	}
	if got := accountOf(s, b.key); got.ok != 20 || got.inFlight != 0 {
		t.Errorf("of the server that was called the selector was told %+v, want 20 answers", got)
	}
}

// always is a plugin that has made up its mind, but asks first.
type always string

func (a always) WrapSelect(fn client.SelectFunc) client.SelectFunc {
	return func(ctx context.Context, servicePath, serviceMethod string, args any) string {
		fn(ctx, servicePath, serviceMethod, args)
		return string(a)
	}
}

func TestAPluginsRefusalIsNoVerdictOnTheServer(t *testing.T) {
	n := startNode(t)
	xc, s := wrapped(t, client.Failfast, nil, n.key)
	xc.SetPlugins(containing(preCall(func(context.Context) error { return client.NewServiceError("not now") })))
	if err := xc.Call(t.Context(), "Greet", &question, new(string)); err == nil {
		t.Error("a refused call has succeeded")
	}
	told(t, s, n.key, account{unknown: 1})
}
