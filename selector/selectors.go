package selector

import (
	"errors"
	"sync"

	"github.com/smallnest/rpcx/client"
)

// selectors are those of the services of a OneClient, or of a pool of them. The first who asks makes one.
type selectors struct {
	make ForService

	mu     sync.Mutex // guards what follows, and is never held while one is made
	byPath map[string]*ofService
	closed bool
}

type ofService struct {
	making sync.Mutex // held while it is made
	made   *Selector
}

// of returns the selector of a service, made for the first discovery that it is asked for with.
func (s *selectors) of(servicePath string, d client.ServiceDiscovery) (*Selector, error) {
	s.mu.Lock()
	one := s.byPath[servicePath]
	if one == nil {
		if s.byPath == nil {
			s.byPath = make(map[string]*ofService)
		}
		one = &ofService{}
		s.byPath[servicePath] = one
	}
	s.mu.Unlock()

	one.making.Lock()
	defer one.making.Unlock()
	if one.made != nil {
		return one.made, nil
	}
	made, err := s.new(servicePath, d)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.Join(client.ErrXClientShutdown, made.Close())
	}
	one.made = made
	return made, nil
}

func (s *selectors) new(servicePath string, d client.ServiceDiscovery) (*Selector, error) {
	if s.make == nil {
		return New()
	}
	made, err := s.make(servicePath, d)
	if made == nil && err == nil {
		err = errors.New("selector: no selector was made for " + servicePath)
	}
	return made, err
}

// close closes those that were made. No more are made.
func (s *selectors) close() error {
	s.mu.Lock()
	s.closed = true
	all := make([]*Selector, 0, len(s.byPath))
	for _, one := range s.byPath {
		if one.made != nil { // written under mu, too
			all = append(all, one.made)
		}
	}
	s.mu.Unlock()
	var errs []error
	for _, one := range all {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}
