package session

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestMain(m *testing.M) {
	// The resolver makes channels at its first lookup. Made in a bubble, they could not be used outside.
	_, _ = (&net.Resolver{PreferGo: true}).LookupHost(context.Background(), "localhost")
	goleak.VerifyTestMain(m)
}

// patience bounds what takes milliseconds on an idle machine, outside a bubble.
const patience = 30 * time.Second

// bubble runs body in a bubble with a server, which has /app, and a configuration for it. The session that it opens with it is body's to
// close.
func bubble(t *testing.T, body func(t *testing.T, zk *zktest.Server, cfg Config), opts ...zktest.Option) {
	t.Helper()
	bubbles.Test(t, func(t *testing.T) {
		zk := zktest.NewServer(opts...)
		t.Cleanup(zk.Close) // also when body fails: the bubble would report what is left instead
		must(t, zk.Create("/app", nil))
		body(t, zk, Config{Servers: []string{"zk:2181"}, Dial: zk.Dial, Logger: slog.New(&journal{out: t.Output()})})
	})
}

// connected opens a session, which is closed at the end of the test, and waits until it is connected.
func connected(t *testing.T, cfg Config) *Session {
	t.Helper()
	s := Open(cfg)
	t.Cleanup(s.Close)
	settle(0)
	if st := s.State(); !st.Connected {
		t.Fatalf("not connected: %+v", st)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits, outside a bubble, until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// journal is a log handler that counts what an operator would see.
type journal struct {
	out interface{ Write(p []byte) (int, error) }

	mu    sync.Mutex
	lines []string // at Info and above
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	var b strings.Builder
	if err := slog.NewTextHandler(&b, nil).Handle(ctx, r); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if r.Level < slog.LevelInfo {
		return nil
	}
	j.lines = append(j.lines, b.String())
	if j.out != nil {
		_, err := j.out.Write([]byte(b.String()))
		return err
	}
	return nil
}

// seen returns the lines that contain all of words.
func (j *journal) seen(words ...string) (lines []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.lines {
		ok := true
		for _, w := range words {
			ok = ok && strings.Contains(l, w)
		}
		if ok {
			lines = append(lines, l)
		}
	}
	return lines
}

// dialler is a function to be used as Config.Dial.
type dialler = func(ctx context.Context, network, addr string) (net.Conn, error)

// counting counts the calls of a dialler.
func counting(n *atomic.Int64, dial dialler) dialler {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		n.Add(1)
		return dial(ctx, network, addr)
	}
}

// wrapping changes the connections of a dialler.
func wrapping(dial dialler, wrap func(net.Conn) net.Conn) dialler {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return wrap(c), nil
	}
}

// piped connects to what serve does with the other end of a pipe; serve's goroutine ends with the pipe.
func piped(serve func(net.Conn)) dialler {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			serve(server)
		}()
		return client, nil
	}
}

// silent reads and never answers.
func silent(c net.Conn) {
	b := make([]byte, 1024)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// turning hangs up on every client, as a ZooKeeper server does that has no leader.
func turning(c net.Conn) { _, _ = c.Read(make([]byte, 1024)) }

func deleted(path string) zk.Event { return zk.Event{Type: zk.EventNodeDeleted, Path: path} }
func changed(path string) zk.Event { return zk.Event{Type: zk.EventNodeDataChanged, Path: path} }
