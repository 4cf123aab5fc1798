package serverplugin

import (
	"fmt"
	"maps"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

// SetMetadata replaces what is registered of a service, for a program's own admin page, and returns at once. Unlike Register it does not claim the
// address: a service that has yielded stays so, one that is registered too. What an operator has said stays over it. It fails with ErrNotRegistered,
// wrapped, for a service that is not to be registered, for metadata over 1,000,000 bytes, and after Stop.
func (p *ZooKeeperRegisterPlugin) SetMetadata(name, metadata string) error {
	if err := metadataMistake(name, metadata); err != nil {
		return err
	}
	r, err := p.amend("set metadata of", name, func(o *order, _ int64) { o.metadata = metadata })
	if err == nil {
		r.warnOfMetadata(name, metadata)
	}
	return err
}

// ClearOperator ends what an operator has said of a service's keys, of all of them when none is named, and returns at once: the registered values
// count again. It fails with ErrNotRegistered, wrapped, for a service that is not to be registered, and after Stop.
func (p *ZooKeeperRegisterPlugin) ClearOperator(name string, keys ...string) error {
	_, err := p.amend("clear the operator's words on", name, func(o *order, no int64) {
		if len(keys) == 0 {
			keys = p.registrar.cfg.operator
		}
		cleared := maps.Clone(o.cleared)
		if cleared == nil {
			cleared = make(map[string]int64)
		}
		for _, k := range keys {
			cleared[k] = no
		}
		o.cleared = cleared
	})
	return err
}

// amend changes the order of a service that is registered.
func (p *ZooKeeperRegisterPlugin) amend(op, name string, f func(o *order, no int64)) (*registrar, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, err := p.begin()
	if err != nil {
		return nil, err
	}
	path, err := znode.ServicePath(r.cfg.base, name)
	if err != nil {
		return nil, fmt.Errorf("serverplugin: %w", err)
	}
	if !r.mail.amend(path, f) {
		return nil, &OpError{Op: op, Path: path + "/" + r.cfg.instance, Err: ErrNotRegistered}
	}
	return r, nil
}

func metadataMistake(name, metadata string) error {
	if len(metadata) > maxMetadata {
		return fmt.Errorf("serverplugin: metadata of service %q: %d bytes: at most %d are possible", name, len(metadata), maxMetadata)
	}
	return nil
}

func (r *registrar) warnOfMetadata(name, metadata string) {
	if !validQuery(metadata) {
		r.cfg.log.Warn("metadata is not a URL query: rpcx ignores state and group in it, and metrics are not added", "service", name)
	}
}
