package impatient

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server that accepts and says nothing is left, and the next one is dialled. go-zookeeper alone would wait 200 s.
func TestASilentServerIsLeft(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		dial := func(string, string, time.Duration) (net.Conn, error) {
			dials.Add(1)
			ours, theirs := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, theirs) }() // until ours is closed
			return conn{ours}, nil
		}
		c, events, err := zk.Connect([]string{"127.0.0.1:2181"}, 30*time.Second, zk.WithDialer(dial), zk.WithLogInfo(false), zk.WithLogger(quiet{}))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := dials.Load(); n < 5 {
			t.Errorf("%d dials in a minute", n)
		}
		c.Close()
		for range events { // until go-zookeeper has ended
		}
	})
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
