package faq

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// connected is what filecache.Connect makes of a registry's constructor. It has some time.
func connected(t *harness.World, open func() (client.ServiceDiscovery, error)) client.ServiceDiscovery {
	t.Helper()
	w, err := filecache.Connect(open, t.Dir, filecache.WithService("Arith"), filecache.WithEnsemble("etcd"), filecache.WithPollingOnly(), filecache.WithoutGuard(),
		filecache.WithLogger(t.Logbook.Logger()))
	harness.Must(t, err)
	harness.Pass(time.Minute)
	return w
}

// one is the constructor of a registry with one server.
func one() (client.ServiceDiscovery, error) {
	return client.NewMultipleServersDiscovery([]*client.KVPair{{Key: harness.Instance(0)}})
}

// away is the constructor of a registry that cannot be reached.
func away() (client.ServiceDiscovery, error) { return nil, errors.New("no etcd") }

// ended is a registry's discovery that somebody has closed.
type ended struct{ client.ServiceDiscovery }

// WatchService returns a channel that is closed.
func (ended) WatchService() chan []*client.KVPair {
	ch := make(chan []*client.KVPair)
	close(ch)
	return ch
}

// broken is a registry's discovery that panics at Close, as rpcx's DNSDiscovery does.
type broken struct{ client.ServiceDiscovery }

func (broken) Close() { panic("close of nil channel") }

// wrapScenes are those of filecache.Wrap and Connect.
var wrapScenes = map[string]scene{
	"a registry that is away at the start": {
		[]string{
			"WARN the wrapped discovery is not there yet: the file has to do meanwhile",
			"INFO the list is the file's until the wrapped discovery has one",
		},
		func(t *harness.World, _ *zktest.Server) {
			connected(t, one).Close()
			connected(t, away).Close()
		},
	},
	"an override and a filter that panics, above another registry": {
		[]string{"WARN an operator's override is in force", "WARN the override is gone", "ERROR the filter panics, which counts as keep"},
		func(t *harness.World, _ *zktest.Server) {
			w := connected(t, one)
			defer w.Close()
			file := filepath.Join(filepath.Dir(listIn(t)), "override.json")
			harness.Must(t, os.WriteFile(file, []byte(`["tcp@127.9.9.1:1"]`), 0o600))
			harness.Pass(time.Minute)
			w.SetFilter(func(*client.KVPair) bool { panic("mine") })
			harness.Must(t, os.Remove(file))
			harness.Pass(time.Minute)
		},
	},
	"a damaged file, and another registry that is away": {
		[]string{"WARN no list from the file"},
		func(t *harness.World, _ *zktest.Server) {
			connected(t, one).Close()
			harness.Must(t, os.WriteFile(listIn(t), []byte("damaged"), 0o600))
			connected(t, away).Close()
		},
	},
	"a registry's discovery that is closed beside the wrapper": {
		[]string{"WARN the wrapped discovery has closed its channel: the list stays as it is"},
		func(t *harness.World, _ *zktest.Server) {
			connected(t, func() (client.ServiceDiscovery, error) {
				d, err := one()
				return ended{d}, err
			}).Close()
		},
	},
	"a registry's discovery that panics": {
		[]string{"ERROR a call of the registry's panics"},
		func(t *harness.World, _ *zktest.Server) {
			connected(t, func() (client.ServiceDiscovery, error) {
				d, err := one()
				return broken{d}, err
			}).Close()
		},
	},
	"a constructor that does not return": {
		[]string{"ERROR a call of the registry's does not return, leaving it"},
		func(t *harness.World, _ *zktest.Server) {
			returns := make(chan struct{})
			connected(t, func() (client.ServiceDiscovery, error) { <-returns; return away() }).Close()
			close(returns)
			harness.Pass(time.Minute)
		},
	},
}

// listIn is the only list in a world's cache directory.
func listIn(t *harness.World) string {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join(t.Dir, "*", "*", "list.json"))
	harness.Must(t, err)
	if len(lists) != 1 {
		t.Fatalf("the lists are %q", lists)
	}
	return lists[0]
}
