package selector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/log"
	rpcx "github.com/smallnest/rpcx/server"
	"github.com/smallnest/rpcx/share"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// kelp is the service of the test servers.
type kelp struct {
	name       string
	server     *rpcx.Server
	delay      atomic.Int64 // before each answer
	drops      atomic.Bool  // the connection, instead
	drop       atomic.Int64 // the connection, in so many of 100 calls
	stalls     atomic.Bool  // until the test ends
	stallsOnce atomic.Bool  // only the first call does
	refuses    atomic.Bool  // with an error of the service's, instead
	waiting    atomic.Int64 // calls of Wait
	release    chan struct{}
	greeted    atomic.Int64

	sidelines sync.WaitGroup
}

// Greet answers with the server's name.
func (k *kelp) Greet(ctx context.Context, _ *string, reply *string) error {
	k.greeted.Add(1)
	if k.drops.Load() || rand.Float64() < float64(k.drop.Load())/100 {
		return k.Drop(ctx, nil, nil)
	}
	if k.refuses.Load() {
		return k.Refuse(ctx, nil, nil)
	}
	if k.stalls.Load() || k.stallsOnce.Swap(false) {
		<-k.release
	}
	time.Sleep(time.Duration(k.delay.Load()))
	*reply = k.name
	return nil
}

// Refuse returns an error of the service's.
func (k *kelp) Refuse(context.Context, *string, *string) error { return errors.New("no") }

// Wait answers when the test says so.
func (k *kelp) Wait(_ context.Context, _ *string, reply *string) error {
	k.waiting.Add(1)
	defer k.waiting.Add(-1)
	<-k.release
	*reply = k.name
	return nil
}

// Drop breaks the connection.
func (k *kelp) Drop(ctx context.Context, _ *string, _ *string) error {
	return ctx.Value(rpcx.RemoteConnContextKey).(net.Conn).Close()
}

// Echo answers with the request's metadata, as the reply's, and how long the client gives it.
func (k *kelp) Echo(ctx context.Context, _ *string, reply *string) error {
	asked, _ := ctx.Value(share.ReqMetaDataKey).(map[string]string)
	answer, _ := ctx.Value(share.ResMetaDataKey).(map[string]string)
	answer["echo"] = asked["say"]
	*reply = asked[share.ServerTimeout]
	return nil
}

// Push sends the client a message.
func (k *kelp) Push(ctx context.Context, _ *string, _ *string) error {
	return k.server.SendMessage(ctx.Value(rpcx.RemoteConnContextKey).(net.Conn), "Kelp", "News", nil, []byte("news"))
}

// Stream, DownloadFile and TransferFile are rpcx's services of those names, whose own servers cannot be stopped: they name an address that the
// client connects to then.
func (k *kelp) Stream(_ context.Context, _ *share.StreamServiceArgs, reply *share.StreamServiceReply) error {
	reply.Addr = k.sideline()
	return nil
}

func (k *kelp) DownloadFile(_ context.Context, _ *share.DownloadFileArgs, reply *share.FileTransferReply) error {
	reply.Addr = k.sideline()
	return nil
}

func (k *kelp) TransferFile(_ context.Context, _ *share.FileTransferArgs, reply *share.FileTransferReply) error {
	reply.Addr = k.sideline()
	return nil
}

// sideline returns the address of a server for one connection.
func (k *kelp) sideline() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return ""
	}
	k.sidelines.Go(func() {
		defer ln.Close()
		if conn, err := ln.Accept(); err == nil {
			_, _ = io.WriteString(conn, "a holdfast")
			conn.Close()
		}
	})
	return ln.Addr().String()
}

// node is a real rpcx server.
type node struct {
	*kelp
	key    string
	ln     net.Listener
	served sync.WaitGroup
	ended  sync.Once
}

var addresses atomic.Uint32

// newAddress is an address on which nothing listens. Another process that runs these tests at the same time has others.
func newAddress() string {
	n, pid := int(addresses.Add(1)), os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d:%d", 64+pid/250%64, 1+pid%250, 1+n%250, 28972+n/250)
}

// startNode starts a server of the service "Kelp", and of others, that ends with the test.
func startNode(tb testing.TB, services ...string) *node {
	tb.Helper()
	address := newAddress()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	n := &node{kelp: &kelp{name: address, server: rpcx.NewServer(), release: make(chan struct{})}, key: "tcp@" + address, ln: ln}
	for _, service := range append(services, "Kelp") {
		if err := n.server.RegisterName(service, n.kelp, ""); err != nil {
			tb.Fatal(err)
		}
	}
	n.served.Go(func() { _ = n.server.ServeListener("tcp", ln) })
	tb.Cleanup(n.end)
	return n
}

func (n *node) end() {
	n.ended.Do(func() {
		close(n.release)
		_ = n.server.Close()
		n.ln.Close() // which Close does not when it comes before the server has begun to serve
		n.served.Wait()
		n.sidelines.Wait()
	})
}

// discovery lists servers that a test sets, as any discovery does.
type discovery struct {
	mu      sync.Mutex
	servers []string
	chans   []chan []*client.KVPair
}

func newDiscovery(servers ...string) *discovery { return &discovery{servers: servers} }

func (d *discovery) pairs() []*client.KVPair {
	var pairs []*client.KVPair
	for _, key := range d.servers {
		pairs = append(pairs, &client.KVPair{Key: key})
	}
	return pairs
}

func (d *discovery) GetServices() []*client.KVPair {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pairs()
}

func (d *discovery) WatchService() chan []*client.KVPair {
	d.mu.Lock()
	defer d.mu.Unlock()
	ch := make(chan []*client.KVPair, 16)
	d.chans = append(d.chans, ch)
	return ch
}

func (d *discovery) RemoveWatcher(ch chan []*client.KVPair) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chans = slices.DeleteFunc(d.chans, func(other chan []*client.KVPair) bool { return other == ch })
}

func (d *discovery) set(servers ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.servers = servers
	for _, ch := range d.chans {
		ch <- d.pairs()
	}
}

func (d *discovery) Clone(string) (client.ServiceDiscovery, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return newDiscovery(d.servers...), nil
}
func (d *discovery) SetFilter(client.ServiceDiscoveryFilter) {}
func (d *discovery) Close()                                  {}

// wrapped returns a wrapped XClient for servers, closed with the test. option changes its settings.
func wrapped(tb testing.TB, mode client.FailMode, option func(*client.Option), servers ...string) (client.XClient, *Selector) {
	tb.Helper()
	s := mustNew(tb)
	o := client.DefaultOption
	o.ConnectTimeout = 500 * time.Millisecond
	if option != nil {
		option(&o)
	}
	xc := Wrap(client.NewXClient("Kelp", mode, client.SelectByUser, newDiscovery(servers...), o), s)
	tb.Cleanup(func() { _ = xc.Close() })
	return xc, s
}

// account is what a Selector has been told of a server.
type account struct {
	ok, refused, broken, late, undialled, unknown, written, givenUp uint64
	inFlight                                                        int64
}

func accountOf(s *Selector, key string) account {
	s.mu.Lock()
	defer s.mu.Unlock()
	srv := s.servers[key]
	n := func(o health.Outcome) uint64 { return srv.outcomes[o].Load() }
	return account{
		n(health.Answered), n(health.Refused), n(health.Broken), n(health.Late), n(health.Undialled), n(health.NotSent), n(health.Written), n(health.GivenUp),
		srv.load.InFlight.Load(),
	}
}

// sum is the account of all servers.
func sum(s *Selector) (t account) {
	for _, key := range listed(s) {
		one := accountOf(s, key)
		t.ok, t.refused, t.broken, t.late = t.ok+one.ok, t.refused+one.refused, t.broken+one.broken, t.late+one.late
		t.undialled, t.unknown, t.inFlight = t.undialled+one.undialled, t.unknown+one.unknown, t.inFlight+one.inFlight
		t.written, t.givenUp = t.written+one.written, t.givenUp+one.givenUp
	}
	return t
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// told waits until a Selector has been told what the test wants of a server.
func told(tb testing.TB, s *Selector, key string, want account) {
	tb.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for got := accountOf(s, key); got != want; got = accountOf(s, key) {
		if time.Now().After(deadline) {
			tb.Fatalf("the selector was told of %s:\n%+v, want\n%+v", key, got, want)
		}
		time.Sleep(time.Millisecond)
	}
}

// ready waits until a Selector uses all its servers: at first it knows none, and uses the one that it is trying.
func ready(tb testing.TB, s *Selector) {
	tb.Helper()
	eventually(tb, "every server is up", func() bool {
		for _, one := range s.Status().Servers {
			if one.State != Up {
				return false
			}
		}
		return true
	})
}

func within(tb testing.TB, d time.Duration) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), d)
	tb.Cleanup(cancel)
	return ctx
}

func init() { log.SetDummyLogger() }
