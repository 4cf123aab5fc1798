package zkdiscovery

import (
	"time"

	"github.com/rpcxio/libkv/store"
)

// ZookeeperDiscovery is rpcx-zookeeper's name for a Discovery.
type ZookeeperDiscovery = Discovery

// NewZookeeperDiscovery is New by rpcx-zookeeper's name, so that a program changes over by its import line. Of options, TLS and
// ConnectionTimeout, which is the session timeout there, count, and Username and Password as digest credentials; nil has New's defaults.
func NewZookeeperDiscovery(basePath, servicePath string, zkAddr []string, options *store.Config) (*Discovery, error) {
	return New(basePath, servicePath, zkAddr, peerOptions(options)...)
}

// NewZookeeperDiscoveryTemplate is NewTemplate by rpcx-zookeeper's name; for options see NewZookeeperDiscovery.
func NewZookeeperDiscoveryTemplate(basePath string, zkAddr []string, options *store.Config) (*Discovery, error) {
	return NewTemplate(basePath, zkAddr, peerOptions(options)...)
}

func peerOptions(o *store.Config) []Option {
	if o == nil {
		return nil
	}
	var opts []Option
	if o.ConnectionTimeout > 0 {
		opts = append(opts, WithSessionTimeout(max(o.ConnectionTimeout, 100*time.Millisecond)))
	}
	if o.TLS != nil {
		opts = append(opts, WithTLS(o.TLS))
	}
	if o.Username != "" {
		opts = append(opts, WithAuth("digest", []byte(o.Username+":"+o.Password)))
	}
	return opts
}
