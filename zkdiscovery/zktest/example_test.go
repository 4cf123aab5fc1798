package zktest_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// A program under test is given the server's address, and meets what the test commands: here, that its session expires while it is away.
func Example() {
	server := zktest.NewServer()
	defer server.Close()
	if err := server.Listen("127.0.0.1:0"); err != nil {
		panic(err)
	}

	// The program: it registers something that lives as long as it does.
	conn, events, err := zk.Connect([]string{server.Addr()}, 10*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	if _, err := conn.Create("/alive", []byte("yes"), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		panic(err)
	}

	node, err := server.Get("/alive")
	fmt.Printf("%s, by the only session: %v %v\n", node.Data, node.Stat.EphemeralOwner == server.Sessions()[0], err)

	server.Stop()
	server.ExpireAll()
	if err := server.Start(); err != nil {
		panic(err)
	}
	for ev := range events {
		if ev.State == zk.StateExpired {
			break
		}
	}
	_, err = server.Get("/alive")
	fmt.Println(err)
	// Output:
	// yes, by the only session: true <nil>
	// zktest: get /alive: no node
}

// The costs of a program are counted: what it asks for, and what it is told.
func ExampleServer_Stats() {
	server := zktest.NewServer()
	defer server.Close()
	if err := server.Put("/app/config", []byte("1")); err != nil {
		panic(err)
	}
	conn, _, err := zk.Connect([]string{"127.0.0.1:2181"}, 10*time.Second, zk.WithLogger(quiet{}),
		zk.WithDialer(func(network, addr string, _ time.Duration) (net.Conn, error) {
			return server.Dial(context.Background(), network, addr) // no listener is needed
		}))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _, changed, err := conn.GetW("/app/config")
	if err != nil {
		panic(err)
	}
	before := server.Stats()

	if err := server.Set("/app/config", []byte("2")); err != nil { // somebody else has changed it
		panic(err)
	}
	fmt.Println((<-changed).Type)
	if _, _, err := conn.Get("/app/config"); err != nil {
		panic(err)
	}

	cost := server.Stats().Since(before)
	fmt.Println(cost.Notifications, "notification,", cost.Requests[zktest.OpGetData], "read,", cost.Total(), "request in all")
	// Output:
	// EventNodeDataChanged
	// 1 notification, 1 read, 1 request in all
}

// In a bubble of testing/synctest time passes at once: here an hour of silence, in which no socket would let the clock move on.
func ExampleServer_Dial() {
	_ = func(t *testing.T) { // TestExpiredSessionIsReplaced
		synctest.Test(t, func(t *testing.T) {
			server := zktest.NewServer()
			conn, _, err := zk.Connect([]string{"127.0.0.1:2181"}, 10*time.Second, // an address, since looking up a name would leave the bubble
				zk.WithDialer(func(network, addr string, _ time.Duration) (net.Conn, error) {
					return server.Dial(context.Background(), network, addr)
				}))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			session := conn.SessionID()

			server.Silence(true)
			time.Sleep(time.Hour)
			server.Silence(false)
			time.Sleep(time.Minute)
			synctest.Wait()
			if conn.State() != zk.StateHasSession || conn.SessionID() == session {
				t.Errorf("%v in session %#x, was %#x", conn.State(), conn.SessionID(), session)
			}

			conn.Close()
			server.Close()
			synctest.Wait() // whatever is left now was forgotten by Close
		})
	}
}

// What must be right on the real thing is tested on it. The test is skipped where ZooKeeper is not installed, unless
// HOLDFAST_REAL_ZOOKEEPER=required.
func ExampleStartEnsemble() {
	_ = func(t *testing.T) { // TestLeaderDies
		ensemble := zktest.StartEnsemble(t, 3)
		conn, _, err := zk.Connect(ensemble.Servers(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		leader, err := ensemble.Leader()
		if err != nil {
			t.Fatal(err)
		}
		if err := ensemble.Kill(leader); err != nil {
			t.Fatal(err)
		}
		// A client that was connected to it finds another server, and its session goes on.
	}
}

// A Proxy cuts a client off from a real server as a network does, which the client cannot tell from silence.
func ExampleNewProxy() {
	_ = func(t *testing.T) { // TestCutIsNoticed
		ensemble := zktest.StartEnsemble(t, 1)
		proxy, err := zktest.NewProxy(ensemble.Servers()[0])
		if err != nil {
			t.Fatal(err)
		}
		defer proxy.Close()
		conn, events, err := zk.Connect([]string{proxy.Addr()}, 2*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		proxy.Delay(2 * time.Millisecond) // a round trip to the next town

		proxy.Cut(true) // iptables … DROP
		for ev := range events {
			if ev.State == zk.StateDisconnected {
				break
			}
		}
		proxy.Cut(false)
	}
}

// A test of one's own: a ZooKeeper of its own, for as long as the test runs.
func ExampleStart() {
	_ = func(t *testing.T) { // TestMyClientSurvivesARestart
		server := zktest.Start(t, zktest.WithTick(100*time.Millisecond)) // sessions last from 0.2 s to 2 s
		if err := server.Put("/app/config", []byte("1")); err != nil {
			t.Fatal(err)
		}
		conn, _, err := zk.Connect([]string{server.Addr()}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()

		server.Stop()
		if err := server.Start(); err != nil { // at the same address, with what it had stored
			t.Fatal(err)
		}
		data, _, err := conn.Get("/app/config")
		if err != nil || string(data) != "1" {
			t.Errorf("%q, %v", data, err)
		}
	}
}
