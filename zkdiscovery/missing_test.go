package zkdiscovery

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// at is a template of another base path, or with a chroot.
func (w *world) at(basePath, server string, opts ...Option) *Discovery {
	w.Helper()
	d, err := NewTemplate(basePath, []string{server}, w.options(opts...)...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(d.Close)
	return d
}

// A mistyped base path was "list is live, instances=0" and nothing else.
func TestAPathAboveTheServicesThatDoesNotExistIsTold(t *testing.T) {
	for _, tc := range []struct {
		name, base, server, there string
		missing                   string
	}{
		{"all there", "/rpcx", "zk:2181", "/rpcx", ""},
		{"base path", "/rpxc", "zk:2181", "/rpcx", "/rpxc"},
		{"upper part of the base path", "/a/b/c", "zk:2181", "/rpcx", "/a"},
		{"lower part of the base path", "/a/b/c", "zk:2181", "/a/b", "/a/b/c"},
		{"chroot", "/rpcx", "zk:2181/prod", "/rpcx", "/prod"},
		{"base path in a chroot", "/rpcx", "zk:2181/prod", "/prod/other", "/prod/rpcx"},
		{"all there, in a chroot", "/rpcx", "zk:2181/prod", "/prod/rpcx", ""},
		{"no base path, no chroot", "/", "zk:2181", "/rpcx", ""},
		{"no base path in a chroot", "/", "zk:2181/prod", "/rpcx", "/prod"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.do(w.zk.Put(tc.there+"/x", nil))
				d := w.at(tc.base, tc.server)
				c := d.Service("Arith")
				pass(time.Second)
				w.source(c, Live) // that nobody is registered is no error
				if got := c.Status().MissingPath; got != tc.missing || d.Status().MissingPath != got {
					t.Errorf("missing %q, template %q; want %q", got, d.Status().MissingPath, tc.missing)
				}
				d.Service("Echo")
				w.zk.DropConnections()
				pass(time.Minute)
				want := 1
				if tc.missing == "" {
					want = 0
				}
				if lines := w.log.with(slog.LevelWarn, "does not exist"); len(lines) != want {
					t.Errorf("%d warnings: %q", len(lines), lines)
				}
				if n := len(w.log.with(slog.LevelWarn, "path="+tc.missing)); tc.missing != "" && n != want {
					t.Errorf("the path stands in %d of them", n)
				}
			})
		})
	}
}

func TestHundredsOfServicesThatDoNotExistMakeOneLook(t *testing.T) {
	const services = 300
	inBubble(t, func(w *world) {
		d := w.at("/rpxc", "zk:2181", WithoutWireExtension())
		all := func() {
			var wg sync.WaitGroup
			for i := range services {
				wg.Go(func() { d.Service(fmt.Sprintf("S%03d", i)) })
			}
			wg.Wait()
		}
		all()
		pass(time.Second)
		looks := func() int64 { return w.zk.Stats().Requests[zktest.OpExists] }
		// Every list of a path that does not exist leaves a watch with an exists.
		if n := looks(); n != services+1 {
			t.Errorf("%d looks, want %d", n, services+1)
		}
		before := looks()
		pass(10 * time.Minute)
		if n := d.root.missing.looks; n > 10*60/20+1 {
			t.Errorf("%d looks in ten minutes, %d exists", n, looks()-before)
		}
		if lines := w.log.with(slog.LevelWarn, "does not exist"); len(lines) != 1 {
			t.Errorf("%d warnings", len(lines))
		}
	})
}

func TestAPathThatAppearsIsNoLongerMissing(t *testing.T) {
	for name, appears := range map[string]struct {
		path   string
		within time.Duration
	}{
		"with the service": {"/rpxc/Arith/tcp@a:1", time.Second},
		"alone":            {"/rpxc", 15 * time.Minute * 5 / 4},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				d := w.at("/rpxc", "zk:2181")
				c := d.Service("Arith")
				c.WatchService()
				pass(time.Hour)
				if got := d.Status().MissingPath; got != "/rpxc" {
					t.Errorf("missing %q", got)
				}
				w.do(w.zk.Put(appears.path, nil))
				pass(appears.within)
				if got := d.Status().MissingPath; got != "" {
					t.Errorf("missing %q still", got)
				}
				if n := len(w.log.with(slog.LevelInfo, "exists now", "path=/rpxc")); n != 1 {
					t.Errorf("told %d times", n)
				}
			})
		})
	}
}

func TestABasePathThatIsTakenAwayIsTold(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template(WithoutGuard())
		d.Service("Arith").WatchService()
		pass(time.Minute)
		for _, path := range []string{"/rpcx/Arith/tcp@a:1", "/rpcx/Arith", "/rpcx"} {
			w.do(w.zk.Delete(path))
		}
		pass(time.Second)
		if got := d.Status().MissingPath; got != "/rpcx" {
			t.Errorf("missing %q, want /rpcx", got)
		}
	})
}

// The answer to a look that was asked before.
func TestALookThatAnExistingServiceHasOutdatedHasNoSay(t *testing.T) {
	m := &missing{log: slog.New(slog.DiscardHandler), path: "/rpcx"}
	look := m.begin(1, false, time.Now())
	if look == 0 || m.begin(1, true, time.Now()) != 0 || m.begin(2, true, time.Now()) != 0 {
		t.Fatal("not one look at a time")
	}
	m.exists()
	m.run(t.Context(), look) // with neither chroot nor base path, it finds nothing missing
	m.path = "/rpcx"
	m.run(t.Context(), look)
	if m.now() != "/rpcx" {
		t.Error("an outdated look has changed what is known")
	}
	if m.begin(1, false, time.Now()) != 0 || m.begin(2, false, time.Now()) == 0 {
		t.Error("want one look for each connection")
	}
}
