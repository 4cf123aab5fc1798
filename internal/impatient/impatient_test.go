package impatient

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server that accepts and says nothing is left: the next one is dialled.
func TestASilentServerIsLeft(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var dials atomic.Int32
	again := make(chan struct{})
	dial := func(network, addr string, timeout time.Duration) (net.Conn, error) {
		if dials.Add(1) == 2 {
			close(again)
		}
		return Dial(network, addr, timeout)
	}
	c, events, err := zk.Connect([]string{silent.Addr().String()}, 30*time.Second, zk.WithDialer(dial), zk.WithLogInfo(false), zk.WithLogger(quiet{}))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-again:
	case <-time.After(time.Minute):
		t.Error("it still waits")
	}
	c.Close()
	for range events { // until go-zookeeper has ended
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
