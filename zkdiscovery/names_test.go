package zkdiscovery

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// WaitLive said that it was closed, and Status that ZooKeeper did not give the list.
func TestACloneOfAnImpossibleNameSaysWhatIsWrongWithIt(t *testing.T) {
	inBubble(t, func(w *world) {
		c := w.clone(w.template(), "tab\tx")
		pass(time.Second)
		err := c.WaitLive(w.Context())
		if wantError(w.T, err, nil, `service path "tab\tx"`, "U+0009"); errors.Is(err, ErrClosed) {
			w.Error(err)
		}
		if line := c.Status().String(); !strings.Contains(line, "for ever: service path") || strings.Contains(line, "which does not give") {
			w.Error(line)
		}
	})
}

func TestServersMayBeIPv6Addresses(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	zk := zktest.NewServer()
	defer zk.Close()
	if err := zk.Listen(addr); err != nil {
		t.Fatal(err)
	}
	if err := zk.Put("/prod/rpcx/Arith/tcp@[::1]:8972", nil); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	servers := []string{"[::1]:1", addr + "/prod"}
	d, err := New("rpcx", "Arith", servers, WithCacheDir(dir), WithCachePolling())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := d.WaitLive(ctx); err != nil {
		t.Fatal(err)
	}
	if got := keys(d.GetServices()); got != "tcp@[::1]:8972" || d.Status().Server != addr {
		t.Errorf("%s, %v", got, d.Status())
	}
	d.Close() // which writes the file
	zk.Stop()
	d, err = New("rpcx", "Arith", []string{addr + "/prod"}, WithCacheDir(dir), WithCachePolling())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if s := d.Snapshot(); s.Source != File || len(s.Servers) != 1 {
		t.Errorf("%+v", s)
	}
}
