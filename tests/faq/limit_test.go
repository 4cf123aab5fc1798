package faq

import (
	"slices"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// docs/configuration.md: processes that share a cache directory share what they know. P1 obeys and writes an empty list; P2, which cannot ask
// ZooKeeper, takes it from the file, although its guard would not have believed it.
func TestAProcessThatIsCutOffTakesTheListOfOneThatObeys(t *testing.T) {
	const node = "/rpcx/Arith/tcp@127.0.0.1:8972"
	zk := zktest.Start(t)
	must(t, zk.Put(node, nil))
	proxy, err := zktest.NewProxy(zk.Addr())
	must(t, err)
	t.Cleanup(proxy.Close)
	discovery := func(addr string, more ...zkdiscovery.Option) *zkdiscovery.Discovery {
		d, err := zkdiscovery.New("/rpcx", "Arith", []string{addr}, append(more, zkdiscovery.WithEnsembleName("one"))...)
		must(t, err)
		t.Cleanup(d.Close)
		return d
	}
	for _, shared := range []bool{true, false} {
		one, two := t.TempDir(), t.TempDir()
		if shared {
			two = one
		}
		must(t, zk.Put(node, nil))
		obeys := discovery(zk.Addr(), zkdiscovery.WithCacheDir(one), zkdiscovery.WithoutGuard())
		cut := discovery(proxy.Addr(), zkdiscovery.WithCacheDir(two))
		must(t, proxy.Refuse(true))
		proxy.Drop()
		await(t, "it is cut off", func() bool { return !cut.Live() })
		must(t, zk.Delete(node))
		await(t, "the one obeys", func() bool { return len(obeys.GetServices()) == 0 })
		if shared {
			await(t, "the other takes it from the file", func() bool { return len(cut.GetServices()) == 0 })
		} else {
			obeys.Close() // its file is written
			if n := len(cut.GetServices()); n != 1 {
				t.Errorf("with a directory of its own it lists %d", n)
			}
		}
		must(t, proxy.Refuse(false))
		cut.Close()
		obeys.Close()
	}
	if nodes, err := zk.Children("/rpcx/Arith"); err != nil || slices.Contains(nodes, "tcp@127.0.0.1:8972") {
		t.Errorf("%q, %v", nodes, err)
	}
}
