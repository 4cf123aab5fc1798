package zkdiscovery_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// ensemble is a ZooKeeper in this process with one instance of a service, and a directory for the cache files.
func ensemble() (zk *zktest.Server, dir string, end func()) {
	zk = zktest.NewServer()
	if err := zk.Listen("127.0.0.1:0"); err != nil {
		panic(err)
	}
	if err := zk.Put("/rpcx/Arith/tcp@127.0.0.1:8972", []byte("weight=5")); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "holdfast-example-")
	if err != nil {
		panic(err)
	}
	return zk, dir, func() {
		zk.Close()
		_ = os.RemoveAll(dir)
	}
}

func ExampleNew() {
	zk, dir, end := ensemble()
	defer end()

	d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(dir))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	xclient := client.NewXClient("Arith", client.Failover, client.RandomSelect, d, client.DefaultOption)
	defer xclient.Close()

	s := d.Snapshot()
	fmt.Println(s.Source, s.Servers[0].Key, s.Servers[0].Value)
	// Output: live tcp@127.0.0.1:8972 weight=5
}

// A process that starts while ZooKeeper is away has the list that was known last, from the file.
func ExampleNew_withoutZooKeeper() {
	zk, dir, end := ensemble()
	defer end()
	before, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(dir))
	if err != nil {
		fmt.Println(err)
		return
	}
	before.Close()
	zk.Stop()

	d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(dir))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	fmt.Println(d.Snapshot().Source, d.GetServices()[0].Key)

	// When ZooKeeper is back, the list is live without anybody's help.
	if err := zk.Start(); err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	fmt.Println(d.WaitLive(ctx), d.Snapshot().Source)
	// Output:
	// file tcp@127.0.0.1:8972
	// <nil> live
}

// OneClient makes a clone per service; all share one connection.
func ExampleNewTemplate() {
	zk, dir, end := ensemble()
	defer end()

	template, err := zkdiscovery.NewTemplate("/rpcx", []string{zk.Addr()}, zkdiscovery.WithCacheDir(dir))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer template.Close()
	one := client.NewOneClient(client.Failover, client.RandomSelect, template, client.DefaultOption)
	defer one.Close()

	arith, _ := template.Clone("Arith") // what OneClient does at the first call; it never fails
	fmt.Println(arith.GetServices()[0].Key)
	// Output: tcp@127.0.0.1:8972
}
