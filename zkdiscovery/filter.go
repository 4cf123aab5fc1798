package zkdiscovery

import (
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/watchers"
)

// filter is the user's function that decides which instances a view shows. One goroutine at a time uses it.
type filter struct {
	keeps client.ServiceDiscoveryFilter // nil keeps all
}

// apply is the part of pairs that the filter keeps. The user's function gets copies. Where it panics the instance is kept, and report is called.
func (f *filter) apply(pairs watchers.List, report func(panicked any)) watchers.List {
	if f.keeps == nil {
		return pairs
	}
	copies := make([]client.KVPair, len(pairs))
	kept := make(watchers.List, 0, len(pairs))
	for i, p := range pairs {
		copies[i] = *p
		if f.keepsOne(&copies[i], report) {
			kept = append(kept, p)
		}
	}
	return kept
}

func (f *filter) keepsOne(p *client.KVPair, report func(panicked any)) (keep bool) {
	defer func() {
		if r := recover(); r != nil {
			report(r)
			keep = true
		}
	}()
	return f.keeps(p)
}
