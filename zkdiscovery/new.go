package zkdiscovery

import (
	"context"
	"time"
)

// startGrace is how long New waits for the file when the start timeout has passed.
const startGrace = time.Second

// New returns the instances of the service at basePath/servicePath. servers are ZooKeeper's, host:port, IPv6 in brackets, the last one with an
// optional chroot. basePath may begin and end with a slash or not, servicePath may contain some.
//
// New waits for ZooKeeper, at most for the start timeout (3 s, see WithStartTimeout), and less when every server refuses at once. If there is
// no answer by then, the list comes from the cache file, and connecting goes on in the background for ever. If there is no file either, New
// waits for the whole start timeout and fails with ErrNoSnapshot within two more seconds, leaving nothing behind; WithLazyStart makes an
// empty start of that. A service that nobody has registered yet is no error: the list is empty, and fills.
//
// A bad argument or option is an error that joins every mistake; nothing was started then.
//
// The caller owns the Discovery and closes it. Closing it ends its clones.
func New(basePath, servicePath string, servers []string, opts ...Option) (*Discovery, error) {
	cfg, err := newConfig(basePath, servers, opts, servicePath)
	if err != nil {
		return nil, err
	}
	path, _ := cfg.servicePath(servicePath) // newConfig has found no mistake in it
	d := newDiscovery(newRoot(cfg), path, owner)
	if err := d.start(); err != nil && !cfg.lazy {
		d.Close()
		return nil, err
	}
	return d, nil
}

// start waits until there is a list, or cannot be one for now.
func (d *Discovery) start() error {
	timeout := d.root.cfg.startTimeout
	began := time.Now()
	sv := d.root.attach(d.view, began.Add(timeout))
	limit := time.NewTimer(timeout + startGrace)
	defer limit.Stop()
	select {
	case <-sv.settled:
	case <-limit.C:
	}
	isThere := func(s Source) bool { return s != None }
	if s, _ := d.view.source(d.root.session.State()); isThere(s) {
		return nil
	}
	// Nobody is there to be asked, and there is no file: programs and ZooKeeper boot together, so the rest of the start timeout is worth
	// waiting for.
	rest, cancel := context.WithDeadline(context.Background(), began.Add(timeout))
	defer cancel()
	if d.root.waitFor(rest, d.view, isThere) == nil {
		return nil
	}
	return sv.noList()
}

// NewTemplate returns a Discovery without a service of its own, for rpcx's OneClient and for programs that call several services: all
// clones share its one connection. It fails for bad arguments and options only, joining every mistake, and does not wait for ZooKeeper. Its own list is empty and
// its watchers hear nothing.
//
// The caller owns the template and closes it, which ends its clones; rpcx closes neither.
func NewTemplate(basePath string, servers []string, opts ...Option) (*Discovery, error) {
	cfg, err := newConfig(basePath, servers, opts)
	if err != nil {
		return nil, err
	}
	return newDiscovery(newRoot(cfg), cfg.base, template), nil
}
