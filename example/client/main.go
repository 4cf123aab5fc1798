// Command client calls the servers of example/server. It finds them in ZooKeeper, and in its cache file when ZooKeeper is away. To copy from.
//
//	go run ./example/client -zk 127.0.0.1:2181
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// Question and Greeting are the service's argument and reply. They travel by the names of their fields.
type (
	Question struct{ Name string }
	Greeting struct{ Text string }
)

func main() {
	zk := flag.String("zk", "127.0.0.1:2181", "ZooKeeper at `host:port,...`; the last may carry a chroot, host:port/path")
	base := flag.String("base", "/rpcx", "ZooKeeper `path` that the services are below")
	cache := flag.String("cache", "", "`directory` of the file that keeps the list (default: holdfast in the user's cache directory)")
	flag.Parse()
	if err := run(strings.Split(*zk, ","), *base, *cache); err != nil {
		log.Fatal(err)
	}
}

func run(zk []string, base, cache string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	// The file lets this program start while ZooKeeper is away. It must outlive the program: in a container, name a directory on a volume,
	// since the container's own file system is forgotten with it, or read-only.
	options := []zkdiscovery.Option{zkdiscovery.WithLogger(slog.Default())}
	if cache != "" {
		options = append(options, zkdiscovery.WithCacheDir(cache))
	}
	// New waits for ZooKeeper, at most 3 s, then takes the file. Its error says why neither served.
	d, err := zkdiscovery.New(base, "Greeter", zk, options...)
	if err != nil {
		return err
	}
	defer d.Close() // after the XClient (defers run in reverse), which uses it and does not close it

	// A list may name servers that are gone, most of all in an outage: the selector keeps calls away from those that do not answer.
	s, err := selector.New(selector.WithLive(d.Live), selector.WithLogger(slog.Default()))
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // it never fails

	// Failover tries another server when one does not answer. Wrap sets the selector and tells it what becomes of every call.
	xc := selector.Wrap(client.NewXClient("Greeter", client.Failover, client.SelectByUser, d, client.DefaultOption), s)
	defer func() { _ = xc.Close() }() // its error only tells of connections that were broken before

	// A readiness probe should ask for a list, wherever it comes from: len(d.GetServices()) > 0. One that wants a live list (Source Live) takes
	// every client out of service when ZooKeeper goes away. A program that must not begin with an old list calls d.WaitLive(ctx).
	log.Print(d.Status())

	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		var reply Greeting
		if err := xc.Call(ctx, "Greet", &Question{Name: "kelp"}, &reply); err != nil && ctx.Err() == nil {
			log.Printf("call failed: %v", err)
		} else if err == nil {
			log.Print(reply.Text)
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
	}
}
