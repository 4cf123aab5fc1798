package serverplugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// shell has ZooKeeper's own shell do one thing.
func (r realZooKeeper) shell(args ...string) {
	r.Helper()
	cli := filepath.Join(cmp.Or(os.Getenv("ZOOKEEPER_HOME"), "/usr/share/zookeeper"), "bin", "zkCli.sh")
	if _, err := os.Stat(cli); errors.Is(err, fs.ErrNotExist) {
		cli = "/usr/share/zookeeper/bin/zkCli.sh" // jars of another version alone have none, and any shell talks to any server
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, cli, append([]string{"-server", r.ensemble.Servers()[0]}, args...)...).CombinedOutput()
	if err != nil {
		r.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// load calls Who all the time until the returned function is called, which returns what failed. calls counts by the server's port.
func (r realZooKeeper) load(d client.ServiceDiscovery, calls *sync.Map) (stop func() []error) {
	xc := client.NewXClient("Who", client.Failfast, client.RandomSelect, d, client.DefaultOption)
	var mu sync.Mutex
	var failures []error
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stopped.Load() {
				var reply Reply
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				err := xc.Call(ctx, "Who", &Args{}, &reply)
				cancel()
				if err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
				}
				n, _ := calls.LoadOrStore(reply.C, new(atomic.Int64))
				n.(*atomic.Int64).Add(1)
				time.Sleep(2 * time.Millisecond) // the load, not a wait
			}
		})
	}
	return func() []error {
		stopped.Store(true)
		wg.Wait()
		_ = xc.Close()
		return failures
	}
}

// testOperatorDrains has a person drain one of two servers by hand, under load, and kill and start it then.
func testOperatorDrains(r realZooKeeper) {
	if runtime.GOOS == "windows" {
		r.Skip("ZooKeeper's shell is a script")
	}
	start := func() (c *childProcess, node string, port int) {
		addr := freeAddress(r.T)
		_, digits, _ := net.SplitHostPort(addr)
		port, _ = strconv.Atoi(digits)
		c = startChild(r.T, childOptions{Servers: r.ensemble.Servers()[0], Base: r.base, Metadata: "weight=3", Listen: "tcp@" + addr})
		c.do("serve")
		return c, r.base + "/Who/tcp@" + addr, port
	}
	_, _, other := start()
	drained, node, port := start()
	d, err := zkdiscovery.New(r.base, "Who", r.ensemble.Servers(), zkdiscovery.WithoutCache())
	if err != nil {
		r.Fatal(err)
	}
	defer d.Close()
	var calls sync.Map
	called := func(port int) int64 {
		n, _ := calls.LoadOrStore(port, new(atomic.Int64))
		return n.(*atomic.Int64).Load()
	}
	more := func(port int) {
		r.Helper()
		was := called(port)
		r.soon(fmt.Sprint("200 more calls to ", port), func() bool { return called(port) > was+200 })
	}
	stop := r.load(d, &calls)
	more(port)
	more(other)
	r.shell("set", node, "state=inactive&weight=3")
	time.Sleep(2 * time.Second) // which is what an operator is told
	was := called(port)
	more(other)
	if n := called(port) - was; n > 0 {
		r.Errorf("%d calls to a server that was drained two seconds ago", n)
	}
	_, st, err := r.conn.Get(node)
	if err != nil || st.Version != 2 {
		r.Errorf("the operator has no answer: %+v, %v", st, err)
	}
	// The word was for that process: the next one is in again.
	drained.kill()
	again := startChild(r.T, childOptions{Servers: r.ensemble.Servers()[0], Base: r.base, Metadata: "weight=3", Listen: drained.options.Listen})
	again.do("serve")
	more(port)
	failures := stop()
	r.Logf("%d calls to the one, %d to the other, %d failed", called(port), called(other), len(failures))
	for _, err := range failures {
		r.Error(err)
	}
}
