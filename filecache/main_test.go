package filecache

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/internal/watchers"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDirectory); dir != "" {
		os.Exit(beWriter(dir))
	}
	goleak.VerifyTestMain(m)
}

// patience bounds what a test waits for outside a bubble; nothing needs it.
const patience = 10 * time.Second

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.UTC)

// at is the snapshot of some servers at a zxid, confirmed that many seconds after noon.
func at(zxid int64, keys ...string) Snapshot {
	s := Snapshot{Lineage: "one", Zxid: zxid, AsOf: noon.Add(time.Duration(zxid) * time.Second), Servers: []Server{}}
	for _, k := range keys {
		s.Servers = append(s.Servers, Server{Key: k, Value: "weight=5&group=a"})
	}
	return s
}

func mustOpen(tb testing.TB, dir string, opts ...Option) *Cache {
	tb.Helper()
	c, err := Open(dir, "zk1:2181", "/prod/rpcx/Arith", append([]Option{WithLogger(logger(tb))}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

func mustSave(tb testing.TB, c *Cache, s Snapshot) {
	tb.Helper()
	if err := c.Save(s); err != nil {
		tb.Fatal(err)
	}
}

// mustLoad returns what is loaded, without what Save and Load add.
func mustLoad(tb testing.TB, c *Cache) Snapshot {
	tb.Helper()
	s, err := c.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return bare(s)
}

// bare is s as it was given to Save.
func bare(s Snapshot) Snapshot {
	s.Ensemble, s.Service, s.SavedAt, s.Path = "", "", time.Time{}, ""
	return s
}

func wantSame(tb testing.TB, got, want Snapshot) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Fatalf("snapshot differs (-want +got):\n%s", diff)
	}
}

func wantError(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Fatalf("error %v, want one that wraps %v", err, want)
	}
}

func logger(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func listOf(s Snapshot) watchers.List { return s.pairs() }

var errNone = fs.ErrNotExist

// lines collects a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(part string) int { return strings.Count(l.String(), part) }

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
