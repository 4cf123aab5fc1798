package agent

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/rpcxio/libkv/store"
	peer "github.com/rpcxio/rpcx-zookeeper/serverplugin"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
)

// registering is what both register plugins can do.
type registering interface {
	Start() error
	Register(name string, rcvr any, metadata string) error
}

// serve registers a server that is not there: nobody calls it. The registration lasts as long as the process.
func serve(name string, f *arguments) error {
	servers, base, service, address := f.list(), f.text(), f.text(), f.text()
	p, err := plugin(name, servers, base, address, f.duration(), f.duration())
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	return p.Register(service, nil, registry.Metadata)
}

// serveMany is serve for many services, and returns when all are registered.
func serveMany(name string, f *arguments) error {
	servers, base, prefix, address := f.list(), f.text(), f.text(), f.text()
	n := f.number()
	p, err := plugin(name, servers, base, address, time.Minute, f.duration())
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	for i := range n {
		if err := p.Register(prefix+strconv.Itoa(i), nil, registry.Metadata); err != nil {
			return err
		}
	}
	if p, ok := p.(*serverplugin.ZooKeeperRegisterPlugin); ok { // the peer's Register has done it when it returns
		return p.WaitRegistered(context.Background())
	}
	return nil
}

// plugin is the contender's.
func plugin(name string, servers []string, base, address string, update, timeout time.Duration) (registering, error) {
	config := &store.Config{ConnectionTimeout: timeout}
	switch name {
	case contender.Holdfast:
		return serverplugin.NewZooKeeperRegisterPlugin(
			serverplugin.WithZKServiceAddress(address), serverplugin.WithZKServersAddress(servers), serverplugin.WithZKBasePath(base),
			serverplugin.WithZkUpdateInterval(update), serverplugin.WithZkOptions(config)), nil
	case contender.Peer:
		return peer.NewZooKeeperRegisterPlugin(
			peer.WithZKServiceAddress(address), peer.WithZKServersAddress(servers), peer.WithZKBasePath(base),
			peer.WithZkUpdateInterval(update), peer.WithZkOptions(config)), nil
	}
	return nil, fmt.Errorf("%s does not register servers", name)
}
