package selector

import (
	"context"
	"errors"
	"sync"

	"github.com/smallnest/rpcx/client"
)

// services has one T for each service that is called. The first caller makes it, outside every lock. Those who come meanwhile wait for it, but no longer
// than their ctx lasts. Services do not wait for each other.
type services[T ofService] struct {
	admit func(T) // called with mu held when one is made; nil: nothing is to be done

	mu     sync.Mutex // guards what follows
	byPath map[string]*service[T]
	closed bool // no more are made
}

type ofService interface {
	comparable
	Close() error
}

type service[T ofService] struct {
	making chan struct{} // holds a token while one caller makes it
	made   T             // zero until then; services.mu guards it
}

// of returns that of a service, which is made by the first who asks, and again after an error.
func (s *services[T]) of(ctx context.Context, servicePath string, makeOne func() (T, error)) (T, error) {
	var none T
	one, made, err := s.find(servicePath)
	if err != nil || made != none {
		return made, err
	}
	select {
	case one.making <- struct{}{}:
		defer func() { <-one.making }()
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if _, made, err = s.find(servicePath); err != nil || made != none { // somebody was faster
		return made, err
	}
	if made, err = makeOne(); err != nil {
		return none, err
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		if s.admit != nil {
			s.admit(made)
		}
		one.made = made
	}
	s.mu.Unlock()
	if closed {
		return none, errors.Join(client.ErrXClientShutdown, made.Close())
	}
	return made, nil
}

// find returns what there is of a service. It is an error that it cannot be made any more.
func (s *services[T]) find(servicePath string) (one *service[T], made T, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one = s.byPath[servicePath]; one != nil && one.made != made {
		return one, one.made, nil
	}
	if s.closed {
		return nil, made, client.ErrXClientShutdown
	}
	if one == nil {
		if s.byPath == nil {
			s.byPath = make(map[string]*service[T])
		}
		one = &service[T]{making: make(chan struct{}, 1)}
		s.byPath[servicePath] = one
	}
	return one, made, nil
}

// all are those that were made. mu must be held.
func (s *services[T]) all() (made []T) {
	var none T
	for _, one := range s.byPath {
		if one.made != none {
			made = append(made, one.made)
		}
	}
	return made
}

// close closes those that were made. No more are made.
func (s *services[T]) close() error {
	s.mu.Lock()
	s.closed = true
	made := s.all()
	s.mu.Unlock()
	var errs []error
	for _, one := range made {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}
