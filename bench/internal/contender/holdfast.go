package contender

import (
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/smallnest/rpcx/client"
)

func openHoldfast(c Config) (client.ServiceDiscovery, error) {
	d, err := zkdiscovery.New(c.Base, c.Service, c.Servers, options(c)...)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func openUncached(c Config) (client.ServiceDiscovery, error) {
	c.Dir = ""
	return openHoldfast(c)
}

func manyHoldfast(c Config, services []string) ([]client.ServiceDiscovery, error) {
	t, err := zkdiscovery.NewTemplate(c.Base, c.Servers, options(c)...)
	if err != nil {
		return nil, err
	}
	return clones(t, services)
}

// options are the defaults but for where the file is. The ensemble has a name, so that the file is ours also behind a proxy's address.
func options(c Config) []zkdiscovery.Option {
	opts := []zkdiscovery.Option{zkdiscovery.WithSessionTimeout(c.SessionTimeout)}
	if c.Dir == "" {
		return append(opts, zkdiscovery.WithoutCache())
	}
	return append(opts, zkdiscovery.WithCacheDir(c.Dir), zkdiscovery.WithEnsembleName("bench"))
}
