package selector_test

import (
	"context"
	"crypto/tls"
	"log"
	"log/slog"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector"
)

func Example() {
	d, err := client.NewMultipleServersDiscovery([]*client.KVPair{{Key: "tcp@127.0.0.1:8972"}, {Key: "tcp@127.0.0.2:8972"}})
	if err != nil {
		log.Print(err)
		return
	}
	s, err := selector.New(selector.WithLogger(slog.Default()))
	if err != nil {
		log.Print(err)
		return
	}
	defer s.Close()

	xc := selector.Wrap(client.NewXClient("Arith", client.Failover, client.SelectByUser, d, client.DefaultOption), s)
	defer xc.Close()

	var reply int
	if err := xc.Call(context.Background(), "Double", 21, &reply); err != nil {
		log.Print(err)
	}
	log.Print(s.Status())
}

// Where rpcx's clients use TLS, the probes must, too.
func ExampleWithProbing() {
	option := client.DefaultOption
	option.TLSConfig = &tls.Config{ServerName: "arith.example", MinVersion: tls.VersionTLS13}
	s, err := selector.New(
		selector.WithProbing(selector.Probing{TLS: option.TLSConfig, Timeout: option.ConnectTimeout}),
		selector.WithSlowStart(30*time.Second),
	)
	if err != nil {
		log.Print(err)
		return
	}
	defer s.Close()
}

// Calls for the same customer go to the same server, which has the customer's data in its cache.
func ExampleWithKey() {
	type order struct{ Customer string }
	s, err := selector.New(
		selector.WithPolicy(selector.ConsistentHash),
		selector.WithKey(func(_ context.Context, _, _ string, args any) string {
			if o, ok := args.(*order); ok {
				return o.Customer
			}
			return ""
		}),
	)
	if err != nil {
		log.Print(err)
		return
	}
	defer s.Close()
}

// Each service has a selector of its own, made when it is called first.
func ExampleNewOneClient() {
	d, err := client.NewMultipleServersDiscovery([]*client.KVPair{{Key: "tcp@127.0.0.1:8972"}})
	if err != nil {
		log.Print(err)
		return
	}
	c := selector.NewOneClient(client.Failover, d, client.DefaultOption,
		func(servicePath string, _ client.ServiceDiscovery) (*selector.Selector, error) {
			if servicePath == "Cache" {
				return selector.New(selector.WithPolicy(selector.ConsistentHash))
			}
			return selector.New()
		})
	defer c.Close()

	var reply int
	if err := c.Call(context.Background(), "Arith", "Double", 21, &reply); err != nil {
		log.Print(err)
	}
}
