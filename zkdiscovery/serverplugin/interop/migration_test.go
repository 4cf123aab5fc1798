package interop

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	ours "github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	theirclient "github.com/rpcxio/rpcx-zookeeper/client"
	theirs "github.com/rpcxio/rpcx-zookeeper/serverplugin"
	"github.com/smallnest/rpcx/client"
)

// differences are the lines of docs/migration.md below a heading, by their first cell.
func differences(t *testing.T, heading string) []string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, table, _ := strings.Cut(section, "\n|---")
	var lines []string
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) > 3 && cells[0] == "" && cells[1] != "---" {
			lines = append(lines, strings.TrimSpace(cells[1]))
		}
	}
	return lines
}

// everyLine plays a check for each line of the page, and wants no line without a check and no check without a line.
func everyLine(t *testing.T, heading string, checks map[string]func(t *testing.T)) {
	t.Helper()
	lines := differences(t, heading)
	for _, line := range lines {
		check, ok := checks[line]
		if !ok {
			t.Errorf("%s: nobody checks %q", heading, line)
			continue
		}
		t.Run(line, check)
	}
	for line := range checks {
		if !slices.Contains(lines, line) {
			t.Errorf("%s does not have %q", heading, line)
		}
	}
}

const first, second = "tcp@127.0.0.1:8972", "tcp@127.0.0.1:8973"

// put puts nodes of one base path into a ZooKeeper of the test's own.
func put(t *testing.T, zk *zktest.Server, nodes ...string) {
	t.Helper()
	for _, node := range nodes {
		if err := zk.Put("/base/"+node, []byte("weight=1")); err != nil {
			t.Fatal(err)
		}
	}
}

// watched returns when ZooKeeper has so many watches. A client of theirs never hears of what changes before it has its own.
func watched(t *testing.T, zk *zktest.Server, n int) {
	t.Helper()
	soon(t, fmt.Sprintf("%d watches", n), func() bool { return zk.Stats().Watches >= n })
}

func theirClient(t *testing.T, zk *zktest.Server, service string) *theirclient.ZookeeperDiscovery {
	t.Helper()
	d, err := theirclient.NewZookeeperDiscovery("base", service, []string{zk.Addr()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer func() { _ = recover() }() // it panics where a test has closed it
		d.Close()
	})
	return d
}

func ourClient(t *testing.T, zk *zktest.Server, service string, opts ...zkdiscovery.Option) *zkdiscovery.Discovery {
	t.Helper()
	if len(opts) == 0 {
		opts = []zkdiscovery.Option{zkdiscovery.WithoutCache()}
	}
	d, err := zkdiscovery.New("base", service, []string{zk.Addr()}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// values are the metadata of a list.
func values(pairs []*client.KVPair) (all []string) {
	for _, p := range pairs {
		all = append(all, p.Value)
	}
	return all
}

func wantKeys(t *testing.T, what string, got []*client.KVPair, want ...string) {
	t.Helper()
	if !slices.Equal(keys(got), want) {
		t.Errorf("%s lists %q, want %q", what, keys(got), want)
	}
}

func TestWhatDiffersOnAClient(t *testing.T) {
	everyLine(t, "What differs on a client", map[string]func(t *testing.T){
		"a service that nobody has registered": func(t *testing.T) {
			zk := zktest.Start(t)
			if d, err := theirclient.NewZookeeperDiscovery("base", "Arith", []string{zk.Addr()}, nil); err == nil || err.Error() != "Key not found in store" {
				t.Errorf("theirs: %v, %v", d, err)
			}
			d := ourClient(t, zk, "Arith")
			wantKeys(t, "ours", d.GetServices())
			put(t, zk, "Arith/"+first)
			soon(t, "filled", func() bool { return len(d.GetServices()) == 1 })
		},
		"ZooKeeper is away at the start": func(t *testing.T) {
			zk, cache := zktest.Start(t), zkdiscovery.WithCacheDir(t.TempDir())
			put(t, zk, "Arith/"+first)
			ourClient(t, zk, "Arith", cache).Close()
			zk.Stop()
			if _, err := theirclient.NewZookeeperDiscovery("base", "Arith", []string{zk.Addr()}, nil); err == nil || err.Error() != "zk: could not connect to a server" {
				t.Errorf("theirs: %v", err)
			}
			d := ourClient(t, zk, "Arith", cache)
			wantKeys(t, "ours", d.GetServices(), first)
			if s := d.Snapshot().Source; s != zkdiscovery.File {
				t.Errorf("ours comes from %v", s)
			}
			_, err := zkdiscovery.New("base", "Arith", []string{zk.Addr()}, zkdiscovery.WithoutCache(), zkdiscovery.WithStartTimeout(100*time.Millisecond))
			if !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
				t.Errorf("ours, without a file: %v", err)
			}
			if err := zk.Start(); err != nil {
				t.Fatal(err)
			}
			zk.Silence(true)
			returned := make(chan struct{})
			go func() {
				defer close(returned)
				_, _ = theirclient.NewZookeeperDiscovery("base", "Arith", []string{zk.Addr()}, nil) // it waits for ever, which is what is looked at
			}()
			wantKeys(t, "ours, of a ZooKeeper that is silent", ourClient(t, zk, "Arith", cache).GetServices(), first)
			select {
			case <-returned:
				t.Error("theirs does not wait for a ZooKeeper that is silent")
			default:
			}
		},
		"`WatchService`": func(t *testing.T) {
			zk := zktest.Start(t)
			put(t, zk, "Arith/"+first)
			old := theirClient(t, zk, "Arith")
			watched(t, zk, 1)
			before := old.WatchService() // may get the first list, if it is quick
			put(t, zk, "Arith/"+second)
			soon(t, "theirs has heard of the second", func() bool {
				select {
				case list := <-before:
					return len(list) == 2
				default:
					return false
				}
			})
			later := old.WatchService()
			watched(t, zk, 1)
			d := ourClient(t, zk, "Arith")
			wantKeys(t, "ours, at once", <-d.WatchService(), first, second)
			if len(later) > 0 {
				t.Errorf("theirs, at once: %q", keys(<-later))
			}
			if err := zk.Delete("/base/Arith/" + second); err != nil {
				t.Fatal(err)
			}
			wantKeys(t, "theirs, after a change", <-later, first)
		},
		"metadata that change": func(t *testing.T) {
			zk := zktest.Start(t)
			put(t, zk, "Arith/"+first)
			old := theirClient(t, zk, "Arith")
			watched(t, zk, 1)
			d := ourClient(t, zk, "Arith")
			both := zk.Stats().Watches
			put(t, zk, "Arith/"+second)
			soon(t, "theirs, with a server that comes", func() bool { return len(old.GetServices()) == 2 })
			watched(t, zk, both)
			if err := zk.Set("/base/Arith/"+first, []byte("weight=9")); err != nil {
				t.Fatal(err)
			}
			soon(t, "ours", func() bool { return slices.Contains(values(d.GetServices()), "weight=9") })
			if slices.Contains(values(old.GetServices()), "weight=9") {
				t.Error("theirs has noticed")
			}
			if err := zk.Delete("/base/Arith/" + second); err != nil {
				t.Fatal(err)
			}
			soon(t, "theirs, with a server that goes", func() bool { return slices.Contains(values(old.GetServices()), "weight=9") })
		},
		"`Clone(\"B\")` of the Discovery of A": func(t *testing.T) {
			zk := zktest.Start(t)
			put(t, zk, "A/"+first, "A/B/"+first, "B/"+second)
			old, err := theirClient(t, zk, "A").Clone("B")
			if err != nil {
				t.Fatal(err)
			}
			now, err := ourClient(t, zk, "A").Clone("B")
			if err != nil {
				t.Fatal(err)
			}
			wantKeys(t, "theirs", old.GetServices(), first)
			wantKeys(t, "ours", now.GetServices(), second)
		},
		"a template": func(t *testing.T) {
			zk := zktest.Start(t)
			put(t, zk, "A/"+first, "B/"+second)
			old, err := theirclient.NewZookeeperDiscoveryTemplate("base", []string{zk.Addr()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			now, err := zkdiscovery.NewZookeeperDiscoveryTemplate("base", []string{zk.Addr()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer now.Close()
			wantKeys(t, "theirs", old.GetServices(), "A", "B")
			wantKeys(t, "ours", now.GetServices())
			if err := now.Service("A").WaitLive(t.Context()); err != nil {
				t.Error(err)
			}
			wantKeys(t, "ours, still", now.GetServices())
		},
		"`Close` twice": func(t *testing.T) {
			zk := zktest.Start(t)
			put(t, zk, "Arith/"+first)
			old, d := theirClient(t, zk, "Arith"), ourClient(t, zk, "Arith")
			d.Close()
			d.Close()
			defer func() {
				if recover() == nil {
					t.Error("theirs does not panic")
				}
			}()
			old.Close()
			old.Close()
		},
		"a filter that is set later": func(t *testing.T) {
			zk := zktest.Start(t)
			put(t, zk, "Arith/"+first)
			only := func(p *client.KVPair) bool { return p.Key == first }
			old := theirClient(t, zk, "Arith")
			watched(t, zk, 1)
			d := ourClient(t, zk, "Arith")
			put(t, zk, "Arith/"+second)
			soon(t, "both have both", func() bool { return len(old.GetServices()) == 2 && len(d.GetServices()) == 2 })
			old.SetFilter(only)
			d.SetFilter(only)
			wantKeys(t, "ours", d.GetServices(), first)
			wantKeys(t, "theirs", old.GetServices(), first, second)
		},
		"`NewZookeeperDiscoveryWithStore`": func(t *testing.T) {
			const name = "NewZookeeperDiscoveryWithStore"
			if !exported(t, "github.com/rpcxio/rpcx-zookeeper/client")[name] || exported(t, "github.com/holdfast-go/holdfast/zkdiscovery")[name] {
				t.Error("it is not theirs alone")
			}
		},
		"`RetriesAfterWatchFailed`": func(t *testing.T) {
			their, _ := reflect.TypeFor[theirclient.ZookeeperDiscovery]().FieldByName("RetriesAfterWatchFailed")
			our, _ := reflect.TypeFor[zkdiscovery.Discovery]().FieldByName("RetriesAfterWatchFailed")
			if their.Type == nil || their.Type != our.Type {
				t.Errorf("theirs is %v, ours %v", their.Type, our.Type)
			}
			zk := zktest.Start(t)
			put(t, zk, "Arith/"+first)
			d := ourClient(t, zk, "Arith")
			d.RetriesAfterWatchFailed = 0
			zk.Stop()
			soon(t, "it has noticed", func() bool { return !d.Live() })
			if err := zk.Start(); err != nil {
				t.Fatal(err)
			}
			put(t, zk, "Arith/"+second)
			soon(t, "ours watches on", func() bool { return len(d.GetServices()) == 2 })
		},
	})
}

func TestWhatDiffersOnAServer(t *testing.T) {
	const path = "/base/Arith/"
	// both registers an old server and a new one, each at an address of its own.
	both := func(t *testing.T, every time.Duration) (*zktest.Server, *ours.ZooKeeperRegisterPlugin) {
		t.Helper()
		zk := zktest.Start(t)
		old, now := theirPlugin(t, []string{zk.Addr()}, "/base", first, every), ourPlugin(t, []string{zk.Addr()}, "/base", second)
		if err := errors.Join(old.Register("Arith", nil, "weight=1"), now.Register("Arith", nil, "weight=1"), now.WaitRegistered(t.Context())); err != nil {
			t.Fatal(err)
		}
		return zk, now
	}
	everyLine(t, "What differs on a server", map[string]func(t *testing.T){
		"`UpdateInterval` 0": func(t *testing.T) {
			zk, _ := both(t, 0)
			for address, ephemeral := range map[string]bool{first: false, second: true} {
				if node, err := zk.Get(path + address); err != nil || (node.Stat.EphemeralOwner != 0) != ephemeral {
					t.Errorf("%s: owner %#x, %v", address, node.Stat.EphemeralOwner, err)
				}
			}
		},
		"the session has expired": func(t *testing.T) {
			zk, _ := both(t, time.Hour)
			zk.ExpireAll()
			soon(t, "ours is back", func() bool { _, err := zk.Get(path + second); return err == nil })
			if _, err := zk.Get(path + first); err == nil {
				t.Error("theirs is back within its update interval")
			}
		},
		"somebody deletes or overwrites the node": func(t *testing.T) {
			zk, _ := both(t, time.Hour)
			for _, address := range []string{first, second} {
				if err := zk.Set(path+address, []byte("hello world")); err != nil {
					t.Fatal(err)
				}
			}
			soon(t, "ours is restored", func() bool { node, err := zk.Get(path + second); return err == nil && string(node.Data) == "weight=1" })
			if node, err := zk.Get(path + first); err != nil || string(node.Data) != "hello world" {
				t.Errorf("theirs: %q, %v", node.Data, err)
			}
			for _, address := range []string{first, second} {
				if err := zk.Delete(path + address); err != nil {
					t.Fatal(err)
				}
			}
			soon(t, "ours is back", func() bool { _, err := zk.Get(path + second); return err == nil })
			if _, err := zk.Get(path + first); err == nil {
				t.Error("theirs is back within its update interval")
			}
		},
		"somebody writes `state=inactive` or a weight": func(t *testing.T) {
			zk := zktest.Start(t)
			servers := []string{zk.Addr()}
			old, now := theirPlugin(t, servers, "/base", first, time.Hour), ourPlugin(t, servers, "/base", second)
			register := func() error {
				return errors.Join(old.Register("Arith", nil, "weight=1"), now.Register("Arith", nil, "weight=1"), now.WaitRegistered(t.Context()))
			}
			if err := register(); err != nil {
				t.Fatal(err)
			}
			for _, address := range []string{first, second} {
				if err := zk.Set(path+address, []byte("weight=7&state=inactive")); err != nil {
					t.Fatal(err)
				}
			}
			soon(t, "ours has taken it", func() bool { return len(now.Status().Services[0].Operator) == 2 })
			if err := register(); err != nil {
				t.Fatal(err)
			}
			zk.ExpireSession(now.Status().SessionID)
			soon(t, "ours is back with it", func() bool {
				node, err := zk.Get(path + second)
				return err == nil && strings.Contains(string(node.Data), "state=inactive") && strings.Contains(string(node.Data), "weight=7")
			})
			if node, err := zk.Get(path + first); err != nil || string(node.Data) != "weight=1" {
				t.Errorf("theirs, registered again: %q, %v", node.Data, err)
			}
		},
		"ZooKeeper is away at the start": func(t *testing.T) {
			zk := zktest.Start(t)
			servers := []string{zk.Addr()}
			zk.Stop()
			if err := theirs.NewZooKeeperRegisterPlugin(theirs.WithZKServiceAddress(first), theirs.WithZKServersAddress(servers), theirs.WithZKBasePath("/base")).Start(); err == nil {
				t.Error("their Start does not fail")
			}
			var now *ours.ZooKeeperRegisterPlugin
			address := listening(t, func(a string) any { now = ourPlugin(t, servers, "/base", a); return now }, "weight=1")
			direct, err := client.NewPeer2PeerDiscovery(address, "")
			if err != nil {
				t.Fatal(err)
			}
			xc := client.NewXClient("Arith", client.Failtry, client.RandomSelect, direct, client.DefaultOption)
			defer xc.Close()
			var reply Reply
			if err := xc.Call(t.Context(), "Mul", &Args{6, 7}, &reply); err != nil || reply.C != 42 {
				t.Errorf("ours serves: %d, %v", reply.C, err)
			}
			if err := errors.Join(zk.Start(), now.WaitRegistered(t.Context())); err != nil {
				t.Error(err)
			}
		},
		"two processes have one address": func(t *testing.T) {
			zk := zktest.Start(t)
			servers := []string{zk.Addr()}
			one, two := theirPlugin(t, servers, "/base", first, time.Hour), theirPlugin(t, servers, "/base", first, time.Hour)
			if err := errors.Join(one.Register("Arith", nil, "weight=1"), two.Register("Arith", nil, "weight=2"), one.Unregister("Arith")); err != nil {
				t.Fatal(err)
			}
			if node, err := zk.Get(path + first); err == nil {
				t.Errorf("what the second has written is still there: %q", node.Data)
			}
			older, newer := ourPlugin(t, servers, "/base", second), ourPlugin(t, servers, "/base", second)
			for _, p := range []*ours.ZooKeeperRegisterPlugin{older, newer} {
				if err := errors.Join(p.Register("Arith", nil, "weight=3"), p.WaitRegistered(t.Context())); err != nil {
					t.Fatal(err)
				}
			}
			soon(t, "the older one yields", func() bool { return older.Status().Services[0].Phase == ours.Yielded })
			if err := older.Unregister("Arith"); err != nil && !errors.Is(err, ours.ErrYielded) {
				t.Error(err)
			}
			if node, err := zk.Get(path + second); err != nil || node.Stat.EphemeralOwner != newer.Status().SessionID {
				t.Errorf("owner %#x, %v", node.Stat.EphemeralOwner, err)
			}
		},
	})
}
