package selector

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
)

// Made-up networks, which rpcx uses for keys that begin with their names, for the rest of the process: for benchmarks, and for the race
// detector.

// instant is a connection to a server that answers at once.
type instant struct{}

var registerInstant = sync.OnceFunc(func() { client.RegisterCacheClientBuilder("instant", builder{instant{}}) })

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
func (instant) Close() error                                       { return nil }
func (instant) RemoteAddr() string                                 { return "127.0.0.1:1" }
func (instant) RegisterServerMessageChan(chan<- *protocol.Message) {}
func (instant) UnregisterServerMessageChan()                       {}
func (instant) IsClosing() bool                                    { return false }
func (instant) IsShutdown() bool                                   { return false }
func (instant) GetConn() net.Conn                                  { return nil }

// chaos is a connection to a server that does anything.
type chaos struct{ instant }

var registerChaos = sync.OnceFunc(func() { client.RegisterCacheClientBuilder("chaos", builder{chaos{}}) })

// befall takes a moment, or until ctx ends, and has any outcome.
func (chaos) befall(ctx context.Context) error {
	moment := time.NewTimer(rand.N(200 * time.Microsecond))
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch rand.IntN(10) {
	case 0:
		return io.ErrUnexpectedEOF
	case 1:
		return client.NewServiceError("no")
	case 2:
		return client.ErrShutdown
	case 3:
		<-ctx.Done()
		return ctx.Err()
	default:
		return nil
	}
}

func (c chaos) Call(ctx context.Context, _, _ string, _, _ any) error { return c.befall(ctx) }

func (c chaos) SendRaw(ctx context.Context, _ *protocol.Message) (map[string]string, []byte, error) {
	return nil, nil, c.befall(ctx)
}

// Go's goroutine ends with the context at the latest.
func (c chaos) Go(ctx context.Context, servicePath, serviceMethod string, args, reply any, done chan *client.Call) *client.Call {
	call := &client.Call{ServicePath: servicePath, ServiceMethod: serviceMethod, Args: args, Reply: reply, Done: done}
	go func() {
		call.Error = c.befall(ctx)
		done <- call
	}()
	return call
}

// sleepy is a connection to a server that answers as many seconds later as its port says.
type sleepy struct {
	instant
	after time.Duration
}

var registerSleepy = sync.OnceFunc(func() { client.RegisterCacheClientBuilder("sleepy", sleepyBuilder{}) })

func (s sleepy) Go(_ context.Context, servicePath, serviceMethod string, args, reply any, done chan *client.Call) *client.Call {
	call := &client.Call{ServicePath: servicePath, ServiceMethod: serviceMethod, Args: args, Reply: reply, Done: done}
	time.AfterFunc(s.after, func() { done <- call })
	return call
}

type sleepyBuilder struct{ builder }

func (sleepyBuilder) FindCachedClient(key, _, _ string) client.RPCClient {
	_, port, _ := strings.Cut(key, ":")
	seconds, _ := strconv.Atoi(port)
	return sleepy{after: time.Duration(seconds) * time.Second}
}

// builder gives rpcx one connection for all servers.
type builder struct{ client.RPCClient }

func (builder) SetCachedClient(client.RPCClient, string, string, string)    {}
func (b builder) FindCachedClient(string, string, string) client.RPCClient  { return b.RPCClient }
func (builder) DeleteCachedClient(client.RPCClient, string, string, string) {}
func (b builder) GenerateClient(string, string, string) (client.RPCClient, error) {
	return b.RPCClient, nil
}
