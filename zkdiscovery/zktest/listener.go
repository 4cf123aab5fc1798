package zktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// listener accepts connections for a Server until it is closed.
type listener struct {
	quit chan struct{} // closed by close
	done chan struct{} // closed when the goroutine has ended
	mu   sync.Mutex
	ln   net.Listener // nil until it is bound
}

// Listen lets clients connect over TCP, to "127.0.0.1:0" for a free port, which Addr then names. Such a port is claimed until Close, so
// that it is still free when the server has been away; with another address nobody guarantees that. One address per Server: a second call
// fails, as does one after Close.
func (s *Server) Listen(addr string) error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.addr != "" {
		return fmt.Errorf("zktest: listen on %s: already listening on %s", addr, s.addr)
	}
	s.mu.Lock()
	closed, reachable := s.closed, s.reachable()
	s.mu.Unlock()
	if closed {
		return fmt.Errorf("zktest: listen on %s: %w", addr, net.ErrClosed)
	}
	if addr == loopback(0) {
		claim, err := claimPort()
		if err != nil {
			return err
		}
		s.claim, addr = claim, loopback(claim.number)
	}
	ln, err := listen(addr)
	if err != nil {
		s.releasePort()
		return err
	}
	s.addr = ln.Addr().String()
	if reachable {
		s.accept(ln)
		return nil
	}
	return ln.Close()
}

// releasePort gives up what Listen has claimed. The caller holds s.life.
func (s *Server) releasePort() {
	if s.claim != nil {
		s.claim.release()
		s.claim = nil
	}
}

// Addr is the address that Listen has found, "" before; it stays the same through Stop and Start.
func (s *Server) Addr() string {
	s.life.Lock()
	defer s.life.Unlock()
	return s.addr
}

// accept serves what ln brings. The caller holds s.life.
func (s *Server) accept(ln net.Listener) {
	l := &listener{quit: make(chan struct{}), done: make(chan struct{}), ln: ln}
	s.listener = l
	addr := s.addr
	go func() {
		defer close(l.done)
		for {
			ln, err := l.bound(addr)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			var nc net.Conn
			if err == nil {
				nc, err = ln.Accept()
			}
			if err != nil { // the address is taken or the descriptors are used up; or this is the end, which bound knows
				l.wait()
				continue
			}
			s.mu.Lock()
			if !s.serve(nc) {
				_ = nc.Close()
			}
			s.mu.Unlock()
		}
	}()
}

// bound is the socket, bound to addr now if it has not been before; net.ErrClosed after close.
func (l *listener) bound(addr string) (net.Listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.quit:
		return nil, net.ErrClosed
	default:
	}
	if l.ln == nil {
		ln, err := listen(addr)
		if err != nil {
			return nil, err
		}
		l.ln = ln
	}
	return l.ln, nil
}

// wait is the pause after a failure.
func (l *listener) wait() {
	pause := time.NewTimer(20 * time.Millisecond)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-l.quit:
	}
}

// close ends the goroutine before it returns.
func (l *listener) close() {
	close(l.quit)
	l.mu.Lock()
	if l.ln != nil {
		_ = l.ln.Close()
	}
	l.mu.Unlock()
	<-l.done
}

// listen tries an address that is taken for a while: a process that is being started has a copy of every socket, for a moment, also of one that was closed
// just now.
func listen(addr string) (ln net.Listener, err error) {
	for range 10 {
		if ln, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("zktest: %w", err)
	}
	return ln, nil
}

// hangUp gives the address up. The caller holds s.life.
func (s *Server) hangUp() {
	if s.listener != nil {
		s.listener.close()
		s.listener = nil
	}
}
