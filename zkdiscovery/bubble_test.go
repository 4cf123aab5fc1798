package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/drive"
	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

const publishGap = drive.PublishGap

// pass lets time go by, and everybody do what is to be done then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// world is a ZooKeeper in a bubble, a cache directory and a log.
type world struct {
	*testing.T
	zk  *zktest.Server
	dir string
	log *records
}

// inBubble runs f with a ZooKeeper of its own. What f discovers is closed when it ends.
func inBubble(t *testing.T, f func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		w := &world{T: t, zk: zktest.NewServer(), dir: dir, log: new(records)}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("log:\n%s", strings.Join(w.log.from(slog.LevelDebug), "\n"))
			}
		})
		defer synctest.Wait()
		defer w.zk.Close()
		f(w)
	})
}

// options leave inotify out: a goroutine that waits for it would stop the bubble's clock.
func (w *world) options(opts ...Option) []Option {
	return append([]Option{WithDialer(w.zk.Dial), WithCacheDir(w.dir), WithCachePolling(), WithLogger(slog.New(w.log)), probesAnswer()}, opts...)
}

// probesAnswer keeps the guard's probes off the network, which a bubble does not have.
func probesAnswer() Option {
	return optionFunc(func(c *config) { c.guard.Probe = func(context.Context, string, string) error { return nil } })
}

func (w *world) discover(service string, opts ...Option) *Discovery {
	w.Helper()
	d, err := New("/rpcx", service, []string{"zk:2181"}, w.options(opts...)...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(d.Close)
	return d
}

func (w *world) template(opts ...Option) *Discovery {
	w.Helper()
	d, err := NewTemplate("/rpcx", []string{"zk:2181"}, w.options(opts...)...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(d.Close)
	return d
}

func (w *world) clone(d *Discovery, service string) *Discovery {
	w.Helper()
	c, err := d.Clone(service)
	if err != nil {
		w.Fatal(err)
	}
	return c.(*Discovery)
}

// put registers an instance, or changes its metadata.
func (w *world) put(service, key, value string) {
	w.Helper()
	w.do(w.zk.Put("/rpcx/"+service+"/"+key, []byte(value)))
}

func (w *world) remove(service, key string) {
	w.Helper()
	w.do(w.zk.Delete("/rpcx/" + service + "/" + key))
}

func (w *world) do(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// lists fails the test unless d's list is these keys, comma-separated.
func (w *world) lists(d *Discovery, want string) {
	w.Helper()
	if diff := cmp.Diff(want, keys(d.GetServices())); diff != "" {
		w.Errorf("list (-want +got):\n%s%v", diff, d.Status())
	}
}

func (w *world) source(d *Discovery, want Source) {
	w.Helper()
	if got := d.Snapshot().Source; got != want {
		w.Errorf("source %v, want %v: %v", got, want, d.Status())
	}
}

func keys(pairs []*client.KVPair) string {
	var names []string
	for _, p := range pairs {
		names = append(names, p.Key)
	}
	return strings.Join(names, ",")
}

// records is a slog.Handler that keeps what it is given.
type records struct {
	mu   sync.Mutex
	all  []record
	hold func(msg string) // called with every message, outside mu
}

func (r *records) holdWith(hold func(msg string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hold = hold
}

type record struct {
	level slog.Level
	line  string
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }

func (r *records) Handle(_ context.Context, rec slog.Record) error { return r.handle(rec, nil) }

func (r *records) handle(rec slog.Record, with []slog.Attr) error {
	var b strings.Builder
	b.WriteString(rec.Message)
	add := func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	}
	for _, a := range with {
		add(a)
	}
	rec.Attrs(add)
	r.mu.Lock()
	r.all = append(r.all, record{rec.Level, b.String()})
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		hold(rec.Message)
	}
	return nil
}

func (r *records) WithAttrs(attrs []slog.Attr) slog.Handler { return recordsWith{r, attrs} }
func (r *records) WithGroup(string) slog.Handler            { return r }

// recordsWith is a records with attributes that come first.
type recordsWith struct {
	*records
	attrs []slog.Attr
}

func (r recordsWith) Handle(_ context.Context, rec slog.Record) error { return r.handle(rec, r.attrs) }

func (r recordsWith) WithAttrs(attrs []slog.Attr) slog.Handler {
	return recordsWith{r.records, slices.Concat(r.attrs, attrs)}
}

// from is every line of at least that level.
func (r *records) from(level slog.Level) (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range r.all {
		if rec.level >= level {
			lines = append(lines, rec.level.String()+" "+rec.line)
		}
	}
	return lines
}

// with is every line of at least that level which has all these parts.
func (r *records) with(level slog.Level, parts ...string) (lines []string) {
	for _, line := range r.from(level) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			lines = append(lines, line)
		}
	}
	return lines
}

// withoutCacheDir takes the world's own option back.
func withoutCacheDir() Option {
	return optionFunc(func(c *config) { c.cacheDir, c.cacheDirSet = "", false })
}

// wantError fails the test unless err is want and its text has all parts.
func wantError(t *testing.T, err, want error, parts ...string) {
	t.Helper()
	if want != nil && !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
		return
	}
	for _, part := range parts {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("error %v, want %q in it", err, part)
		}
	}
}

// breakFile makes every write of the cache file of d fail, also for a user whom no permission stops: a file stands where its directory should be.
func (w *world) breakFile(d *Discovery) {
	w.Helper()
	dir := filepath.Dir(d.Status().CacheFile)
	w.do(os.Rename(dir, dir+"-away"))
	w.do(os.WriteFile(dir, nil, 0o600))
}

func (w *world) mendFile(d *Discovery) {
	w.Helper()
	dir := filepath.Dir(d.Status().CacheFile)
	w.do(os.Remove(dir))
	w.do(os.Rename(dir+"-away", dir))
}
