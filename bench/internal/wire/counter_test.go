package wire

import (
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRequestsAndBytesAreThoseThatTheServerSees(t *testing.T) {
	server := zktest.Start(t)
	c, err := NewCounter(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conn, events, err := zk.Connect([]string{c.Addr()}, time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Create("/a", make([]byte, 100_000), 0, zk.WorldACL(zk.PermAll)); err != nil { // longer than a read
		t.Fatal(err)
	}
	before := c.Counts()
	for range 100 {
		if _, _, err := conn.Get("/a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Multi(&zk.SetDataRequest{Path: "/a", Version: -1}, &zk.CheckVersionRequest{Path: "/a", Version: -1}); err != nil {
		t.Fatal(err)
	}
	got := c.Counts().Since(before)
	if got.Requests != 101 || got.ToClients < 10_000_000 || got.ToServer < 100*15 || got.Open != 1 || got.Opened != 0 {
		t.Errorf("100 reads and a multi are %+v", got)
	}
	deadline := time.Now().Add(10 * time.Second)
	for c.Counts().Pings == 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond) // until the client pings, after a third of its timeout
	}
	conn.Close()
	for range events {
	}
	all, seen := c.Counts(), server.Stats()
	if all.Requests != seen.Total()-seen.Requests[zktest.OpClose] || all.Pings != seen.Requests[zktest.OpPing] || all.Pings == 0 {
		t.Errorf("counted %+v, and the server %v", all, seen.Requests)
	}
	if all.ToServer != seen.BytesIn || all.ToClients != seen.BytesOut {
		t.Errorf("counted %+v, and the server %d bytes in, %d out", all, seen.BytesIn, seen.BytesOut)
	}
}

func TestClosingEndsConnections(t *testing.T) {
	server := zktest.Start(t)
	c, err := NewCounter(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	conn, events, err := zk.Connect([]string{c.Addr()}, time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Exists("/"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := c.Counts(); got.Open != 0 || got.Opened != 1 {
		t.Errorf("after Close: %+v", got)
	}
	conn.Close()
	for range events {
	}
}
