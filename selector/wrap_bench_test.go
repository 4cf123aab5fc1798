package selector

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
)

// What the wrapper adds to a call: each mode of an XClient on ten servers that answer at once, without a network, bare and wrapped.
func BenchmarkCall(b *testing.B) {
	registerInstant()
	servers := make([]string, 10)
	for i := range servers {
		servers[i] = fmt.Sprintf("instant@127.0.0.1:%d", i+1)
	}
	ctx := context.Background()
	raw := raw("Greet")
	for _, c := range []struct {
		what string
		mode client.FailMode
		call func(client.XClient) error
	}{
		{"Failfast", client.Failfast, func(xc client.XClient) error { return xc.Call(ctx, "Greet", &question, &question) }},
		{"Failover", client.Failover, func(xc client.XClient) error { return xc.Call(ctx, "Greet", &question, &question) }},
		{"Failtry", client.Failtry, func(xc client.XClient) error { return xc.Call(ctx, "Greet", &question, &question) }},
		{"Failbackup", client.Failbackup, func(xc client.XClient) error { return xc.Call(ctx, "Greet", &question, &question) }},
		{"Go", client.Failfast, func(xc client.XClient) error {
			done := make(chan *client.Call, 1)
			if _, err := xc.Go(ctx, "Greet", &question, &question, done); err != nil {
				return err
			}
			<-done
			return nil
		}},
		{"SendRaw", client.Failfast, func(xc client.XClient) error { _, _, err := xc.SendRaw(ctx, raw); return err }},
		{"Oneshot", client.Failfast, func(xc client.XClient) error { return xc.Oneshot(ctx, "Greet", &question) }},
		{"Broadcast", client.Failfast, func(xc client.XClient) error { return xc.Broadcast(ctx, "Greet", &question, &question) }},
		{"Inform", client.Failfast, func(xc client.XClient) error { _, err := xc.Inform(ctx, "Greet", &question, &question); return err }},
	} {
		o := client.DefaultOption
		bare := client.NewXClient("Kelp", c.mode, client.RandomSelect, newDiscovery(servers...), o)
		ours := NewXClientPool(1, "Kelp", c.mode, newDiscovery(servers...), o, mustNew(b)).Get()
		for _, x := range []struct {
			what string
			xc   client.XClient
		}{{"bare", bare}, {"wrapped", ours}} {
			b.Run(c.what+"/"+x.what, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := c.call(x.xc); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		_, _ = bare.Close(), ours.Close()
	}
}

// instant is the connection to a server that answers at once.
type instant struct{}

// registerInstant makes rpcx use it for the network "instant", for the rest of the process.
var registerInstant = sync.OnceFunc(func() { client.RegisterCacheClientBuilder("instant", instantBuilder{}) })

func (instant) Connect(string, string) error { return nil }
func (instant) Go(_ context.Context, servicePath, serviceMethod string, args, reply any, done chan *client.Call) *client.Call {
	call := &client.Call{ServicePath: servicePath, ServiceMethod: serviceMethod, Args: args, Reply: reply, Done: done}
	if done != nil {
		done <- call
	}
	return call
}
func (instant) Call(context.Context, string, string, any, any) error { return nil }
func (instant) SendRaw(context.Context, *protocol.Message) (map[string]string, []byte, error) {
	return nil, nil, nil
}
func (instant) Close() error                                          { return nil }
func (instant) RemoteAddr() string                                    { return "127.0.0.1:1" }
func (instant) RegisterServerMessageChan(ch chan<- *protocol.Message) {}
func (instant) UnregisterServerMessageChan()                          {}
func (instant) IsClosing() bool                                       { return false }
func (instant) IsShutdown() bool                                      { return false }
func (instant) GetConn() net.Conn                                     { return nil }

type instantBuilder struct{}

func (instantBuilder) SetCachedClient(client.RPCClient, string, string, string)    {}
func (instantBuilder) FindCachedClient(string, string, string) client.RPCClient    { return instant{} }
func (instantBuilder) DeleteCachedClient(client.RPCClient, string, string, string) {}
func (instantBuilder) GenerateClient(string, string, string) (client.RPCClient, error) {
	return instant{}, nil
}
