package contender

import (
	"path/filepath"

	"github.com/rpcxio/libkv/store"
	peer "github.com/rpcxio/rpcx-zookeeper/client"
	"github.com/smallnest/rpcx/client"
)

func openPeer(c Config) (client.ServiceDiscovery, error) {
	d, err := peer.NewZookeeperDiscovery(c.Base, c.Service, c.Servers, storeConfig(c))
	if err != nil {
		return nil, err
	}
	return d, nil
}

// openCached is rpcx's file cache around the peer, with a threshold of 0: an empty list is to be replaced by the file's.
func openCached(c Config) (client.ServiceDiscovery, error) {
	d, err := openPeer(c)
	if err != nil || c.Dir == "" {
		return d, err
	}
	return client.CacheDiscovery(0, filepath.Join(c.Dir, "discovery.json"), d), nil
}

func manyPeers(c Config, services []string) ([]client.ServiceDiscovery, error) {
	t, err := peer.NewZookeeperDiscoveryTemplate(c.Base, c.Servers, storeConfig(c))
	if err != nil {
		return nil, err
	}
	return clones(t, services)
}

// storeConfig has what libkv takes for the session timeout.
func storeConfig(c Config) *store.Config { return &store.Config{ConnectionTimeout: c.SessionTimeout} }
