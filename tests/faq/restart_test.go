package faq

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/server"
)

// restarts make rpcx's lines be written, by their words.
var restarts = map[string]func(t *testing.T){
	"rpcx: client protocol error:": func(t *testing.T) { _ = provoke["unexpected EOF"](t) },
	"failed to dial server:":       func(t *testing.T) { _ = provoke["connection refused"](t) },
	"failed to heartbeat to %s": func(t *testing.T) { // by a connection that ends: in rpcx, a heartbeat without an answer races with its own time
		option := client.DefaultOption
		option.Heartbeat, option.HeartbeatInterval = true, time.Millisecond
		c := client.NewClient(option)
		must(t, c.Connect("tcp", strings.TrimPrefix(answering(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_ = c.Close()
		}), "tcp@")))
		await(t, "the heartbeat has failed", c.IsShutdown)
		_ = c.Close() // it is closed
	},
	"client has closed this connection:": func(t *testing.T) {
		_, _, at := serve(t, nil)
		say(t, at, "\x08") // a request's first byte
	},
	"rpcx: failed to read request:": func(t *testing.T) {
		_, _, at := serve(t, nil)
		say(t, at, "\x08\x00") // half a header
	},
	"rpcx: connection %s is closed": func(t *testing.T) {
		until("Info", "rpcx: connection ", func() { // else it has read the end that Shutdown makes first, and says what it says of a client that leaves
			s, _, at := serve(t, nil)
			xc := xclient(t, client.Failfast, client.DefaultOption, at)
			must(t, double(xc))
			shutDown(t, s)
		})
	},
	"shutdown begin": func(t *testing.T) {
		s, _, _ := serve(t, nil)
		shutDown(t, s)
	},
	"need handle in-processing msg size:": func(t *testing.T) {
		s, a, at := serve(t, nil)
		xc := xclient(t, client.Failfast, client.DefaultOption, at)
		ended := make(chan struct{})
		go func() { defer close(ended); _ = xc.Call(context.Background(), "Wait", &Number{}, &Number{}) }() // it is cut off, or not
		<-a.called
		go func() {
			defer close(a.hold)
			for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit) && !rpcxLog.has("Info", "need handle in-processing msg size:1"); {
				time.Sleep(5 * time.Millisecond)
			}
		}()
		shutDown(t, s)
		<-ended
	},
	"error in JSONRPC server:": func(t *testing.T) {
		shutDownLate(t, "X-JSONRPC-2.0", func(s *server.Server) { s.DisableJSONRPC = false })
	},
	"gateway server closed": func(t *testing.T) {
		until("Info", "gateway server closed", func() { // or "error in gateway Serve"
			s, _, at := serve(t, func(s *server.Server) { s.DisableHTTPGateway = false })
			ask(t, at, "X-Any")
			shutDown(t, s)
		})
	},
	"error in gateway Serve:": func(t *testing.T) {
		shutDownLate(t, "X-Any", func(s *server.Server) { s.DisableHTTPGateway = false })
	},
}

func init() {
	restarts["shutdown end"] = restarts["shutdown begin"]
	restarts["closed gateway"] = restarts["gateway server closed"]
}

// say connects, says something and leaves.
func say(t *testing.T, at, text string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(at, "tcp@"))
	must(t, err)
	_, err = c.Write([]byte(text))
	must(t, err)
	must(t, c.Close())
}

// ask asks over HTTP, with a header, and so waits until that is served.
func ask(t *testing.T, at, header string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+strings.TrimPrefix(at, "tcp@"), strings.NewReader("{}"))
	must(t, err)
	request.Header.Set(header, "true")
	reply, err := http.DefaultClient.Do(request)
	must(t, err)
	must(t, reply.Body.Close())
	http.DefaultClient.CloseIdleConnections()
}

// shutDownLate shuts a server down whose listener ends after it, which is a matter of chance as a rule.
func shutDownLate(t *testing.T, header string, change func(*server.Server)) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s, _, at := serveOn(t, &lateListener{Listener: ln, told: make(chan struct{})}, change)
	ask(t, at, header)
	shutDown(t, s)
}

// lateListener is a listener whose Accept tells that it was closed when it is closed again: rpcx closes it, and then net/http does, which is shutting
// down by then.
type lateListener struct {
	net.Listener
	closed atomic.Int32
	told   chan struct{}
}

func (l *lateListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.told
	}
	return c, err
}

func (l *lateListener) Close() error {
	if l.closed.Add(1) == 2 {
		close(l.told)
	}
	return l.Listener.Close()
}

// until makes a scene until rpcx has written that line, which it does by chance.
func until(level, line string, scene func()) {
	for n := 0; n < 1000 && !rpcxLog.has(level, line); n++ {
		scene()
	}
}

func shutDown(t *testing.T, s *server.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Log(err)
	}
}

func TestEveryLineOfRPCXIsProvoked(t *testing.T) {
	found := 0
	for _, cells := range rows(section(t, "Lines of rpcx's at a restart")) {
		levels := strings.Split(cells[1], ", ")
		for i, line := range codeIn(cells[0]) {
			found++
			make, ok := restarts[line]
			if !ok {
				t.Errorf("nobody provokes %q", line)
				continue
			}
			level := levels[min(i, len(levels)-1)]
			words, _, _ := strings.Cut(line, "%s")
			t.Run(line, func(t *testing.T) {
				make(t)
				await(t, level+": "+words, func() bool { return rpcxLog.has(level, words) })
			})
		}
	}
	if found != len(restarts) {
		t.Errorf("%d lines on the page, %d here", found, len(restarts))
	}
}
