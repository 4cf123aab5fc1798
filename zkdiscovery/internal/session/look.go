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
	Err      error // ErrNoAuth: not even whether it exists may be known
}

// Look returns what stands at each of paths, with the requests pipelined, or in batches where the server has those. With watch, one is on each then that
// stands there and may be read: a new one, unless one is outstanding. With an error, what it returns is that of the paths which were answered before: of
// the first, perhaps of none. The error is about the next one.
func (s *Session) Look(ctx context.Context, watch bool, paths ...string) ([]Found, error) {
	all := make([]Found, len(paths))
	var secret []int // may not be read
	n, err := s.readAll(ctx, len(paths), func(i int) string { return s.cfg.Chroot + paths[i] }, watch, func(i int, refusal error, body []byte) error {
		switch {
		case refusal == nil:
			data, st, err := decodeData(body)
			all[i] = Found{Exists: true, Readable: true, Data: data, Stat: st}
			return err
		case errors.Is(refusal, ErrNoAuth):
			secret = append(secret, i)
		case !errors.Is(refusal, ErrNoNode):
			return refusal
		}
		return nil
	})
	switch {
	case len(secret) == 0:
		return all[:n], err
	case err != nil:
		return all[:min(n, secret[0])], err
	}
	x := &exchange{op: opExists, n: len(secret), path: func(i int) string { return s.cfg.Chroot + paths[secret[i]] }} // before 3.8.4 it needs no permission
	x.take = func(i int, refusal error, body []byte) error {
		f := &all[secret[i]]
		switch {
		case refusal == nil:
			st, err := decodeStat(body)
			*f = Found{Exists: true, Stat: st}
			return err
		case errors.Is(refusal, ErrNoAuth):
			f.Err = refusal
		case !errors.Is(refusal, ErrNoNode):
			return refusal
		}
		return nil
	}
	if err := s.exchange(ctx, x); err != nil {
		return all[:secret[x.answered]], err
	}
	return all, nil
}
