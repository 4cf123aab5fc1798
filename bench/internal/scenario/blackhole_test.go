//go:build unix

package scenario

import (
	"errors"
	"net"
	"testing"
	"time"
)

func TestABlackHoleDoesNotEvenAccept(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	before, err := net.Dial("tcp", address) // it stays, as an XClient's connection does
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	l.Close()
	h, err := newBlackHole(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	for range 3 { // it does not fill itself by and by
		c, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
		if err == nil {
			c.Close()
		}
		if failed, ok := errors.AsType[net.Error](err); !ok || !failed.Timeout() {
			t.Errorf("a connection: %v", err)
		}
	}
}
