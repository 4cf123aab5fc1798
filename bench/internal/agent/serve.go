package agent

import (
	"fmt"

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
	update, timeout := f.duration(), f.duration()
	config := &store.Config{ConnectionTimeout: timeout}
	var p registering
	switch name {
	case contender.Holdfast:
		p = serverplugin.NewZooKeeperRegisterPlugin(
			serverplugin.WithZKServiceAddress(address), serverplugin.WithZKServersAddress(servers), serverplugin.WithZKBasePath(base),
			serverplugin.WithZkUpdateInterval(update), serverplugin.WithZkOptions(config))
	case contender.Peer:
		p = peer.NewZooKeeperRegisterPlugin(
			peer.WithZKServiceAddress(address), peer.WithZKServersAddress(servers), peer.WithZKBasePath(base),
			peer.WithZkUpdateInterval(update), peer.WithZkOptions(config))
	default:
		return fmt.Errorf("%s does not register servers", name)
	}
	if err := p.Start(); err != nil {
		return err
	}
	return p.Register(service, nil, registry.Metadata)
}
