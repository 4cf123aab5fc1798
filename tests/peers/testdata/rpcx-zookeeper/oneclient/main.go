// A client of several services written for rpcx-zookeeper. TestProgramWrittenForRpcxZookeeper changes the import line and nothing else.
package main

import (
	"context"
	"flag"
	"log"
	"time"

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

	d, err := cclient.NewZookeeperDiscoveryTemplate(*basePath, []string{*zkAddr}, nil)
	if err != nil {
		log.Fatalf("failed to create the discovery: %v", err)
	}
	d.SetFilter(func(kvp *client.KVPair) bool { return kvp.Key != "" })

	oneclient := client.NewOneClient(client.Failtry, client.RandomSelect, d, client.DefaultOption)
	defer oneclient.Close()

	args := &Args{A: 10, B: 20}
	for i := 0; ; i++ {
		reply := &Reply{}
		service := []string{"Arith", "Other"}[i%2]
		if err := oneclient.Call(context.Background(), service, "Mul", args, reply); err != nil {
			log.Printf("failed to call: %v", err)
		} else {
			log.Printf("%d * %d = %d", args.A, args.B, reply.C)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
