package wire

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

func TestASlowLineHasARateARoundTripAndLosses(t *testing.T) {
	began := time.Now()
	d := direction{line: Line{Rate: 1000, RoundTrip: 300 * time.Millisecond}}
	for _, c := range []struct {
		name    string
		at      time.Duration
		n       int
		lost    bool
		arrives time.Duration
	}{
		{"alone it takes its time and half a round trip", 0, 100, false, 250 * time.Millisecond},
		{"the next waits for the line", 0, 100, false, 350 * time.Millisecond},
		{"a lost one takes a round trip more", 0, 100, true, 750 * time.Millisecond},
		{"what is behind it waits", 0, 100, false, 750 * time.Millisecond},
		{"later all is as at first", 2 * time.Second, 100, false, 2*time.Second + 250*time.Millisecond},
	} {
		if got := d.arrival(began.Add(c.at), c.n, c.lost).Sub(began); got != c.arrives {
			t.Errorf("%s: %v, not %v", c.name, got, c.arrives)
		}
	}
}

func TestASlowLineCarriesEverythingInOrder(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // it says again what it hears
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	s, err := NewSlow(l.Addr().String(), Line{Rate: 10 << 20, RoundTrip: 4 * time.Millisecond, Loss: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	said := make([]byte, 200_000)
	for i := range said {
		said[i] = byte(i * i >> 7)
	}
	go func() { _, _ = c.Write(said) }()
	heard := make([]byte, len(said))
	if _, err := io.ReadFull(c, heard); err != nil || !bytes.Equal(said, heard) {
		t.Errorf("what came back is not what was said: %v", err)
	}
}
