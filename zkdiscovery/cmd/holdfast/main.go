// Command holdfast shows and changes what rpcx's services have in ZooKeeper, and what Holdfast's cache files have: for whoever operates them.
//
//	holdfast list --zk zk1:2181,zk2:2181
//
// See holdfast help, and docs/operating.md. It is a module of its own: go install github.com/holdfast-go/holdfast/zkdiscovery/cmd/holdfast@latest.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(Main()) }

// Main is the command, for its tests too.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Getenv)
}
