package blackhole

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// Open makes address, "127.x.y.z:port" where nobody listens, one that neither accepts nor refuses until the test ends: a listener whose queue is
// full, to which Linux does not answer. Elsewhere it skips the test.
func Open(tb testing.TB, address string) {
	tb.Helper()
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		tb.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(os.NewSyscallError("socket", err))
	}
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		tb.Fatal(os.NewSyscallError("setsockopt", err))
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		tb.Fatal(os.NewSyscallError("bind", err))
	}
	if err := syscall.Listen(fd, 0); err != nil {
		tb.Fatal(os.NewSyscallError("listen", err))
	}
	dialer := net.Dialer{Timeout: 100 * time.Millisecond}
	for range 16 {
		conn, err := dialer.DialContext(tb.Context(), "tcp", address)
		if err != nil {
			return
		}
		tb.Cleanup(func() { _ = conn.Close() })
	}
	tb.Fatalf("%s: the queue does not fill", address)
}
