package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// AuthFunc returns credentials of this moment. It is asked at every connection, outside every lock, once at a time.
type AuthFunc func() (scheme string, credentials []byte, err error)

var errNoCredentials = errors.New("no credentials")

// secrets asks the AuthFuncs. They are the user's code: one that does not return is left behind, and asked no second time meanwhile.
type secrets struct {
	fixed []Auth
	funcs []AuthFunc

	mu     sync.Mutex
	asking *answer // under way; nil: none
}

// answer is what the AuthFuncs say.
type answer struct {
	done chan struct{} // the goroutine that asks closes it
	auth []Auth        // read after done is closed
	err  error
}

// now returns the credentials for a connection that begins now, within patience.
func (c *secrets) now(ctx context.Context, patience time.Duration) ([]Auth, error) {
	if len(c.funcs) == 0 {
		return c.fixed, nil
	}
	a := c.ask()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-a.done:
		return a.auth, a.err
	case <-t.C:
		return nil, fmt.Errorf("%w within %v", errNoCredentials, patience)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *secrets) ask() *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asking == nil {
		a := &answer{done: make(chan struct{})}
		c.asking = a
		go c.collect(a)
	}
	return c.asking
}

// collect asks for all credentials, the fixed ones first.
func (c *secrets) collect(a *answer) {
	a.err = fmt.Errorf("%w: the function that should give them has not returned", errNoCredentials)
	defer func() { // also when it ends its goroutine
		if p := recover(); p != nil {
			a.err = fmt.Errorf("%w: the function that should give them panicked", errNoCredentials)
		}
		c.mu.Lock()
		c.asking = nil
		c.mu.Unlock()
		close(a.done)
	}()
	all := slices.Clone(c.fixed)
	for _, f := range c.funcs {
		scheme, secret, err := f()
		if err == nil && scheme == "" {
			err = errors.New("they have no scheme")
		}
		if err != nil {
			a.err = fmt.Errorf("%w: %w", errNoCredentials, err)
			return
		}
		all = append(all, Auth{Scheme: scheme, Credentials: slices.Clone(secret)})
	}
	a.auth, a.err = all, nil
}
