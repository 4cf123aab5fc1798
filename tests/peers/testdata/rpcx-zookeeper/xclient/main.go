// A client written for rpcx-zookeeper, after its example. TestProgramWrittenForRpcxZookeeper changes the import line and nothing else.
package main

import (
	"context"
	"flag"
	"log"
	"time"

	"github.com/rpcxio/libkv/store"
	cclient "github.com/rpcxio/rpcx-zookeeper/client"
	"github.com/smallnest/rpcx/client"
)

var (
	zkAddr   = flag.String("zkAddr", "localhost:2181", "zookeeper address")
	basePath = flag.String("base", "/rpcx_test", "prefix path")
)

type Args struct{ A, B int }

type Reply struct{ C int }

func main() {
	flag.Parse()

	d, err := cclient.NewZookeeperDiscovery(*basePath, "Arith", []string{*zkAddr}, &store.Config{ConnectionTimeout: 4 * time.Second})
	if err != nil {
		log.Fatalf("failed to create the discovery: %v", err)
	}
	d.RetriesAfterWatchFailed = -1
	defer d.Close()
	var _ *cclient.ZookeeperDiscovery = d
	var _ client.ServiceDiscovery = d

	xclient := client.NewXClient("Arith", client.Failtry, client.RandomSelect, d, client.DefaultOption)
	defer xclient.Close()

	args := &Args{A: 10, B: 20}
	for {
		reply := &Reply{}
		if err := xclient.Call(context.Background(), "Mul", args, reply); err != nil {
			log.Printf("failed to call: %v", err)
		} else {
			log.Printf("%d * %d = %d", args.A, args.B, reply.C)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
