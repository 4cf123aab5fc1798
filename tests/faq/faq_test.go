// Package faq provokes what docs/faq.md explains, so that its words are those that a reader searches for: each error, each state, and each log line of
// rpcx and of Holdfast. It does so with the log lines of the other pages, too.
package faq

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/log"
	"github.com/smallnest/rpcx/server"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestMain(m *testing.M) {
	log.SetLogger(&rpcxLog) // here, because nothing may log meanwhile
	goleak.VerifyTestMain(m)
}

// section is the text of the page below a heading of the second rank.
func section(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/faq.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("the page has no %q", heading)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}

// rows are the cells of a section's tables, without their headers.
func rows(section string) (all [][]string) {
	lines := strings.Split(section, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "| ") && (i+1 == len(lines) || !strings.HasPrefix(lines[i+1], "|---")) {
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			all = append(all, cells)
		}
	}
	return all
}

var quoted = regexp.MustCompile("`([^`\n]+)`")

func codeIn(text string) (all []string) {
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// recorder is rpcx's logger.
type recorder struct {
	mu    sync.Mutex
	lines []string // "Warn: …"
}

var rpcxLog recorder

func (r *recorder) add(level, text string) {
	r.mu.Lock()
	r.lines = append(r.lines, level+": "+text)
	r.mu.Unlock()
}

func (r *recorder) has(level, text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.lines, func(line string) bool { return strings.HasPrefix(line, level+": "+text) })
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

func (r *recorder) Debug(...any)              {}
func (r *recorder) Debugf(string, ...any)     {}
func (r *recorder) Info(v ...any)             { r.add("Info", fmt.Sprint(v...)) }
func (r *recorder) Infof(f string, v ...any)  { r.add("Info", fmt.Sprintf(f, v...)) }
func (r *recorder) Warn(v ...any)             { r.add("Warn", fmt.Sprint(v...)) }
func (r *recorder) Warnf(f string, v ...any)  { r.add("Warn", fmt.Sprintf(f, v...)) }
func (r *recorder) Error(v ...any)            { r.add("Error", fmt.Sprint(v...)) }
func (r *recorder) Errorf(f string, v ...any) { r.add("Error", fmt.Sprintf(f, v...)) }
func (r *recorder) Fatal(v ...any)            { panic(fmt.Sprint(v...)) }
func (r *recorder) Fatalf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }
func (r *recorder) Panic(v ...any)            { panic(fmt.Sprint(v...)) }
func (r *recorder) Panicf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: ", what)
		}
	}
}

// Number and Arith are a service.
type (
	Number struct{ N int }
	Arith  struct{ called, hold chan struct{} } // a call of Wait closes one, and ends with the other
)

// Double has the form of every rpcx method.
func (*Arith) Double(_ context.Context, n, reply *Number) error {
	reply.N = 2 * n.N
	return nil
}

// Wait does, too.
func (a *Arith) Wait(context.Context, *Number, *Number) error {
	close(a.called)
	<-a.hold
	return nil
}

// serve starts an rpcx server, and returns it with its address, tcp@host:port.
func serve(t *testing.T, change func(*server.Server)) (*server.Server, *Arith, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return serveOn(t, ln, change)
}

func serveOn(t *testing.T, ln net.Listener, change func(*server.Server)) (*server.Server, *Arith, string) {
	t.Helper()
	s, a := server.NewServer(), &Arith{make(chan struct{}), make(chan struct{})}
	s.DisableHTTPGateway, s.DisableJSONRPC = true, true
	if change != nil {
		change(s)
	}
	must(t, s.RegisterName("Arith", a, ""))
	served := make(chan struct{})
	go func() { defer close(served); _ = s.ServeListener("tcp", ln) }() // it ends with the server
	<-s.Started
	t.Cleanup(func() { _ = s.Close(); <-served })
	return s, a, "tcp@" + ln.Addr().String()
}

// nobody is an address that refuses.
func nobody(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// answering does what it is told with every connection, one after the other.
func answering(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f(c)
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-ended })
	return "tcp@" + ln.Addr().String()
}

// xclient is one of these servers' alone.
func xclient(t *testing.T, mode client.FailMode, option client.Option, keys ...string) client.XClient {
	t.Helper()
	var pairs []*client.KVPair
	for _, key := range keys {
		pairs = append(pairs, &client.KVPair{Key: key})
	}
	d, err := client.NewMultipleServersDiscovery(pairs)
	must(t, err)
	xc := client.NewXClient("Arith", mode, client.RandomSelect, d, option)
	t.Cleanup(func() { _ = xc.Close() })
	return xc
}

// double calls once.
func double(xc client.XClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return xc.Call(ctx, "Double", &Number{21}, &Number{})
}

// arith is a ZooKeeper with one server of Arith's, of these metadata, and a Discovery of it.
func arith(t *testing.T, metadata string, opts ...zkdiscovery.Option) (*zktest.Server, *zkdiscovery.Discovery) {
	t.Helper()
	zk := zktest.Start(t)
	must(t, zk.Put("/rpcx/Arith/tcp@127.0.0.1:8972", []byte(metadata)))
	d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, append([]zkdiscovery.Option{zkdiscovery.WithoutCache()}, opts...)...)
	must(t, err)
	t.Cleanup(d.Close)
	return zk, d
}

// callOf is the error of a call over a Discovery.
func callOf(t *testing.T, d client.ServiceDiscovery) error {
	t.Helper()
	xc := client.NewXClient("Arith", client.Failfast, client.RandomSelect, d, client.DefaultOption)
	defer func() { _ = xc.Close() }()
	return double(xc)
}
