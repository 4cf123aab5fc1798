package interop

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	ours "github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	theirclient "github.com/rpcxio/rpcx-zookeeper/client"
	"github.com/smallnest/rpcx/client"
)

// ui is rpcx-ui, as it was in its last version: it reads a node, changes the state, and writes all of it with sorted keys, whatever the version is;
// or it writes over everything what somebody has typed.
type ui struct{ conn *zk.Conn }

func newUI(t *testing.T, servers []string) ui {
	t.Helper()
	conn, events, err := zk.Connect(servers, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		for range events { // its goroutines are gone when this is closed
		}
	})
	return ui{conn}
}

func (u ui) setState(path, state string) error {
	data, _, err := u.conn.Get(path)
	if err != nil {
		return err
	}
	v, err := url.ParseQuery(string(data))
	if err != nil {
		return err
	}
	v.Set("state", state)
	return u.updateMetadata(path, v.Encode())
}

func (u ui) deactivate(path string) error { return u.setState(path, "inactive") }
func (u ui) activate(path string) error   { return u.setState(path, "active") }

func (u ui) updateMetadata(path, text string) error {
	_, err := u.conn.Set(path, []byte(text), -1)
	return err
}

// TestTheButtonsOfRPCXUI presses all three, and looks at the node and at what a client chooses from.
func TestTheButtonsOfRPCXUI(t *testing.T) {
	servers := zktest.StartEnsemble(t, 1).Servers()
	const address = "tcp@127.0.0.1:8972"
	path := "/base/Arith/" + address
	p := ourPlugin(t, servers, "base", address)
	if err := errors.Join(p.Register("Arith", nil, "weight=3&group=a"), p.WaitRegistered(t.Context())); err != nil {
		t.Fatal(err)
	}
	d, err := zkdiscovery.New("base", "Arith", servers, zkdiscovery.WithoutCache())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	u := newUI(t, servers)
	said := func() string {
		var all []string
		for _, w := range p.Status().Services[0].Operator {
			all = append(all, w.Key+"="+strings.Join(w.Values, ","))
		}
		return strings.Join(all, " ")
	}
	for _, tc := range []struct {
		button      string
		press       func() error
		says, words string
	}{
		{"Deactivate", func() error { return u.deactivate(path) }, "group=a&state=inactive&weight=3", "state=inactive"},
		{"Activate", func() error { return u.activate(path) }, "weight=3&group=a", ""},
		{"text: a weight", func() error { return u.updateMetadata(path, "weight=9&group=a") }, "weight=9&group=a", "weight=9"},
		{"Deactivate", func() error { return u.deactivate(path) }, "group=a&state=inactive&weight=9", "state=inactive weight=9"},
		{"Activate", func() error { return u.activate(path) }, "group=a&weight=9", "weight=9"},
		{"text: nonsense", func() error { return u.updateMetadata(path, "hello world") }, "weight=3&group=a", ""},
		{"text: nothing", func() error { return u.updateMetadata(path, "") }, "weight=3&group=a", ""},
	} {
		_, before, err := u.conn.Get(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := tc.press(); err != nil {
			t.Fatal(err)
		}
		soon(t, tc.button+" is answered", func() bool {
			_, after, err := u.conn.Get(path)
			return err == nil && after.Version >= before.Version+2
		})
		soon(t, fmt.Sprintf("%s: a client sees %q", tc.button, tc.says), func() bool {
			list := d.GetServices()
			return len(list) == 1 && list[0].Value == tc.says
		})
		if data, _ := look(t, servers, path); data != tc.says || said() != tc.words || !p.Registered() {
			t.Errorf("%s: the node says %q, and the words are %q, want %q and %q", tc.button, data, said(), tc.says, tc.words)
		}
	}
}

// calling calls Mul all the time until the returned function is called, which returns what failed. It counts all calls.
func calling(d client.ServiceDiscovery, count *atomic.Int64) (stop func() []error) {
	xc := client.NewXClient("Arith", client.Failfast, client.RoundRobin, d, client.DefaultOption)
	var mu sync.Mutex
	var failures []error
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stopped.Load() {
				var reply Reply
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if err := xc.Call(ctx, "Mul", &Args{6, 7}, &reply); err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
				}
				cancel()
				count.Add(1)
				time.Sleep(2 * time.Millisecond) // the load, not a wait
			}
		})
	}
	return func() []error {
		stopped.Store(true)
		wg.Wait()
		_ = xc.Close()
		return failures
	}
}

// callCounter is a plugin of a server's that counts its calls.
type callCounter struct{ calls atomic.Int64 }

func (c *callCounter) PreCall(_ context.Context, _, _ string, args any) (any, error) {
	c.calls.Add(1)
	return args, nil
}

// rpcx-zookeeper's client does not watch metadata: it learns of an operator's word with the next change of membership, as it does of one that
// rpcx-zookeeper's own server keeps. No call fails.
func TestAnOperatorDrainsBeforeTheirClient(t *testing.T) {
	servers := zktest.StartEnsemble(t, 1).Servers()
	var counter callCounter
	start := func(more any) (*ours.ZooKeeperRegisterPlugin, string) {
		var p *ours.ZooKeeperRegisterPlugin
		address := listening(t, func(a string) any { p = ourPlugin(t, servers, "/drained", a); return p }, "weight=3", more)
		if err := p.WaitRegistered(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p, address
	}
	start(nil)
	_, address := start(&counter)
	d, err := theirclient.NewZookeeperDiscovery("drained", "Arith", servers, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var count atomic.Int64
	stop := calling(d, &count)
	more := func() {
		t.Helper()
		was := count.Load()
		soon(t, "200 more calls", func() bool { return count.Load() > was+200 })
	}
	more()
	u := newUI(t, servers)
	if err := u.deactivate("/drained/Arith/" + address); err != nil {
		t.Fatal(err)
	}
	more()
	start(nil) // the list changes
	soon(t, "their client has read the list again", func() bool { return len(d.GetServices()) == 3 })
	time.Sleep(2 * time.Second) // which is what an operator is told
	was := counter.calls.Load()
	more()
	if n := counter.calls.Load() - was; n > 0 || was == 0 {
		t.Errorf("%d calls, and %d to a server that is drained", was, n)
	}
	if failures := stop(); len(failures) > 0 {
		t.Errorf("%d calls failed: %v", len(failures), failures[0])
	}
}

// What others leave at a service's path hurts nobody: the data that rpcx-zookeeper writes there, and nodes beside the instances.
func TestNodesOfOtherToolsAreHarmless(t *testing.T) {
	servers := zktest.StartEnsemble(t, 1).Servers()
	u := newUI(t, servers)
	others := map[string]string{"group": "a=b", "lock-0000000001": "", "_c_4e-lock": "x", "readme": "do not touch"}
	old := listening(t, func(a string) any { return theirPlugin(t, servers, "/shared", a, time.Minute) }, "weight=4") // writes the path's data
	for name, data := range others {
		if _, err := u.conn.Create("/shared/Arith/"+name, []byte(data), 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	before, st, err := u.conn.Get("/shared/Arith")
	if err != nil {
		t.Fatal(err)
	}
	var p *ours.ZooKeeperRegisterPlugin
	address := listening(t, func(a string) any { p = ourPlugin(t, servers, "/shared", a); return p }, "weight=3")
	if err := p.WaitRegistered(t.Context()); err != nil {
		t.Fatal(err)
	}
	d, err := zkdiscovery.New("shared", "Arith", servers, zkdiscovery.WithoutCache())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := []string{address, old}
	slices.Sort(want)
	if got := keys(d.GetServices()); !slices.Equal(got, want) {
		t.Errorf("our client sees %q, want %q", got, want)
	}
	xc := client.NewXClient("Arith", client.Failfast, client.RoundRobin, d, client.DefaultOption)
	for range 10 {
		var reply Reply
		if err := xc.Call(t.Context(), "Mul", &Args{6, 7}, &reply); err != nil || reply.C != 42 {
			t.Errorf("%d, %v", reply.C, err)
		}
	}
	_ = xc.Close()
	if err := p.Unregister("Arith"); err != nil {
		t.Error(err)
	}
	if after, now, err := u.conn.Get("/shared/Arith"); err != nil || string(after) != string(before) || now.Version != st.Version {
		t.Errorf("the path said %q, and says %q, %v", before, after, err)
	}
	for name, data := range others {
		if got, st, err := u.conn.Get("/shared/Arith/" + name); err != nil || string(got) != data || st.Version != 0 {
			t.Errorf("%s: %q, %+v, %v", name, got, st, err)
		}
	}
}
