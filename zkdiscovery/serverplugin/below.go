package serverplugin

import (
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// mostBelow is how many nodes below a persistent one are replaced with it.
const mostBelow = 100

// removalsBelow returns what removes everything below a node, children before their parents. Only a persistent node has something below it: what
// rpcx-zookeeper made of a unix socket's address, or a tool has put beside the data.
func (r *registrar) removalsBelow(path string) ([]session.Op, error) {
	var removals []session.Op
	above := []string{path}
	for i := 0; i < len(above); i++ {
		ls, err := r.session.List(r.ctx, above[i])
		switch {
		case errors.Is(err, session.ErrNoNode):
			continue // gone in the meantime: the transaction tells
		case err != nil:
			return nil, err
		}
		for _, name := range ls.Names {
			above = append(above, above[i]+"/"+name)
		}
		if n := len(above) - 1; n > mostBelow {
			return nil, fmt.Errorf("%w: the persistent node at the address has more than %d below it, remove it by hand", session.ErrNotEmpty, mostBelow)
		}
	}
	for i := len(above) - 1; i > 0; i-- {
		removals = append(removals, session.Delete{Path: above[i], Version: -1})
	}
	return removals, nil
}
