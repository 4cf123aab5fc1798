package session

import (
	"context"
	"errors"
)

// Found is what a Look has found at a path.
type Found struct {
	Exists   bool
	Readable bool // Data is the node's; where it may not be read, Stat is all that is known
	Data     []byte
	Stat     Stat
}

// Look returns what stands at path. If that may be read, a watch is on it then: a new one, unless one is outstanding.
func (s *Session) Look(ctx context.Context, path string) (Found, error) {
	parent, name := splitPath(path)
	nodes, err := s.Read(ctx, parent, []string{name}, true)
	switch {
	case err != nil:
		return Found{}, err
	case nodes[0].Err == nil:
		return Found{Exists: true, Readable: true, Data: nodes[0].Data, Stat: nodes[0].Stat}, nil
	case errors.Is(nodes[0].Err, ErrNoNode):
		return Found{}, nil
	}
	st, err := s.Stat(ctx, path) // needs no permission
	if err != nil || st == nil {
		return Found{}, err
	}
	return Found{Exists: true, Stat: *st}, nil
}
