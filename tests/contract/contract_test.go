package contract_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/smallnest/rpcx/log"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/tests/contract"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestMain(m *testing.M) {
	log.SetDummyLogger() // rpcx's
	goleak.VerifyTestMain(m)
}

// registry is a ZooKeeper that has exactly what it is told.
func registry(t *testing.T) (zk *zktest.Server, set func(service string, list map[string]string)) {
	t.Helper()
	zk = zktest.Start(t, zktest.WithTick(100*time.Millisecond))
	return zk, func(service string, list map[string]string) {
		path := "/rpcx/" + service
		children, _ := zk.Children(path) // no node: none
		for _, c := range children {
			if _, ok := list[c]; !ok {
				_ = zk.Delete(path + "/" + c)
			}
		}
		for k, value := range list {
			if n, err := zk.Get(path + "/" + k); err != nil || string(n.Data) != value {
				_ = zk.Put(path+"/"+k, []byte(value))
			}
		}
	}
}

func TestZKDiscoveryKeepsTheContract(t *testing.T) {
	contract.Run(t, func(t *testing.T) contract.Subject {
		zk, set := registry(t)
		d, err := zkdiscovery.New("rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(t.TempDir()), zkdiscovery.WithCachePolling(),
			zkdiscovery.WithoutGuard(), zkdiscovery.WithSessionTimeout(2*time.Second), zkdiscovery.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		return contract.Subject{Discovery: d, Set: set}
	})
}

// What Wrap adds must take nothing away: what it is put behind here keeps the contract itself. (rpcx's MultipleServersDiscovery does not: it sends
// each update on a goroutine of its own.)
func TestWrapKeepsTheContract(t *testing.T) {
	contract.Run(t, func(t *testing.T) contract.Subject {
		zk, set := registry(t)
		inner, err := zkdiscovery.New("rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithoutCache(), zkdiscovery.WithoutGuard(),
			zkdiscovery.WithSessionTimeout(2*time.Second), zkdiscovery.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		d, err := filecache.Wrap(inner, t.TempDir(), filecache.WithPollingOnly(), filecache.WithoutGuard(), filecache.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		return contract.Subject{Discovery: d, Set: set}
	})
}
