package zktest

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mustRefuse wants the address of s to be free.
func mustRefuse(t *testing.T, addr string) {
	t.Helper()
	nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err == nil {
		_ = nc.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dial %s: %v, want it refused", addr, err)
	}
}

func TestStopAndStartKeepTheAddress(t *testing.T) {
	s := Start(t)
	addr := s.Addr()
	for range 3 {
		w := openWire(t, addr)
		w.must(t, exists("/"))
		s.Stop()
		w.mustEnd(t)
		mustRefuse(t, addr)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		if s.Addr() != addr {
			t.Fatalf("address %s, was %s", s.Addr(), addr)
		}
	}
}

func TestStartFailsWhileTheAddressIsTaken(t *testing.T) {
	s := Start(t)
	s.Stop()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("start: %v", err)
	}
	if _, err := s.Dial(t.Context(), "", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after a failed start: %v", err)
	}
	_ = taken.Close()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	openWire(t, s.Addr())
}

func TestRefusalOverTCP(t *testing.T) {
	s := Start(t)
	w := openWire(t, s.Addr())
	s.Refuse(true)
	s.Refuse(true)
	mustRefuse(t, s.Addr())
	w.must(t, exists("/"))
	s.Refuse(false)
	s.Refuse(false)
	openWire(t, s.Addr())

	s.Refuse(true)
	s.Stop()
	if err := s.Start(); err != nil { // it still refuses
		t.Fatal(err)
	}
	mustRefuse(t, s.Addr())
	s.Refuse(false)
	openWire(t, s.Addr())
}

func TestRefusalEndsWhenTheAddressIsFreeAgain(t *testing.T) {
	s := Start(t)
	s.Refuse(true)
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	s.Refuse(false)
	_ = taken.Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr())
		if err == nil {
			_ = nc.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestListenOnce(t *testing.T) {
	s := Start(t)
	if err := s.Listen("127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("a second Listen: %v", err)
	}
	other := NewServer()
	defer other.Close()
	if err := other.Listen(s.Addr()); !errors.Is(err, syscall.EADDRINUSE) || other.Addr() != "" {
		t.Errorf("an address that is taken: %v, address %q", err, other.Addr())
	}
	if err := other.Listen("127.0.0.1:0"); err != nil {
		t.Errorf("after a failed one: %v", err)
	}
}

func TestListenWhileStoppedServesAfterStart(t *testing.T) {
	s := NewServer()
	defer s.Close()
	s.Stop()
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, s.Addr())
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	openWire(t, s.Addr())
}
