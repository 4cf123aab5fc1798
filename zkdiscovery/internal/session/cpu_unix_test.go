//go:build unix

package session

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// Promise: an outage costs nothing.
func TestOutageUsesNoCPU(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts into its backlog, and never says a word
	must(t, err)
	defer ln.Close()
	s := Open(Config{Servers: []string{ln.Addr().String(), "127.0.0.1:1"}})
	defer s.Close()
	cpu := func() time.Duration {
		var u syscall.Rusage
		must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	eventually(t, "a round", func() bool { return s.State().Rounds > 0 })
	const span = 4 * time.Second
	before := cpu()
	time.Sleep(span)
	if used := cpu() - before; used > span/20 {
		t.Errorf("%v of CPU in %v", used, span)
	}
}
