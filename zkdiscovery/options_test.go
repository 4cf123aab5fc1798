package zkdiscovery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpcxio/libkv/store"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// effects has a test for every option that fails when the option is ignored.
var effects = map[string]func(w *world){
	"WithCacheDir": func(w *world) {
		dir := w.TempDir()
		d := w.discover("Arith", WithCacheDir(dir))
		pass(time.Second)
		if got := d.Status().CacheFile; got != filepath.Join(dir, "zk_2181", "rpcx", "Arith~c1", "list.json") {
			w.Errorf("the file is %s", got)
		}
		if info, err := os.Stat(d.Status().CacheFile); err != nil || info.Size() == 0 {
			w.Errorf("the file is not written: %v", err)
		}
	},
	"WithoutCache": func(w *world) {
		d := w.discover("Arith", withoutCacheDir(), WithoutCache())
		pass(time.Second)
		if st := d.Status(); st.CacheFile != "" || st.OverrideFile != "" || st.Saves > 0 || st.CacheErr != nil {
			w.Errorf("there is a file: %+v", st)
		}
	},
	"WithCachePolling": func(w *world) {
		// Without it, a goroutine would wait for inotify, and this bubble's clock would stand still.
		d := w.discover("Arith")
		pass(time.Second)
		w.do(os.WriteFile(d.Status().OverrideFile, []byte(`["tcp@z:1"]`), 0o600))
		pass(time.Second)
		w.source(d, Live)
		pass(10 * time.Second)
		w.source(d, Override)
	},
	"WithOverrideDir": func(w *world) {
		dir := w.TempDir()
		path := filepath.Join(dir, "rpcx__Arith.json")
		w.do(os.WriteFile(path, []byte(`["tcp@z:1"]`), 0o600))
		d := w.discover("Arith", WithOverrideDir(dir))
		w.source(d, Override)
		if got := d.Status().OverrideFile; got != path {
			w.Errorf("the override in force is said to be %s", got)
		}
		if lines := w.log.with(slog.LevelWarn, "override file", path); len(lines) != 1 {
			w.Errorf("told: %q", w.log.from(slog.LevelInfo))
		}
	},
	"WithEnsembleName": func(w *world) {
		w.discover("Arith").Close()
		w.zk.Stop()
		d := w.discover("Arith", WithEnsembleName("another"), WithLazyStart())
		w.source(d, None)
	},
	"WithMaxCacheAge": func(w *world) {
		w.discover("Arith").Close()
		w.zk.Stop()
		pass(time.Hour)
		w.source(w.discover("Arith", WithMaxCacheAge(2*time.Hour)), File)
		_, err := New("/rpcx", "Arith", []string{"zk:2181"}, w.options(WithMaxCacheAge(30*time.Minute))...)
		wantError(w.T, err, ErrNoSnapshot, "confirmed 1h0m0s ago, the limit is 30m0s")
	},
	"WithSessionTimeout": func(w *world) {
		if got := w.discover("Arith", WithSessionTimeout(17*time.Second)).Status().SessionTimeout; got != 17*time.Second {
			w.Errorf("negotiated %v", got)
		}
	},
	"WithStartTimeout": func(w *world) {
		w.zk.Silence(true)
		began := time.Now()
		_, err := New("/rpcx", "Arith", []string{"zk:2181"}, w.options(WithStartTimeout(7*time.Second))...)
		if took := time.Since(began); took < 7*time.Second || took > 9*time.Second {
			w.Errorf("New has tried for %v: %v", took, err)
		}
	},
	"WithLazyStart": func(w *world) {
		w.zk.Stop()
		d := w.discover("Arith", WithLazyStart())
		w.source(d, None)
		w.do(w.zk.Start())
		w.do(d.WaitLive(w.Context()))
		w.lists(d, "tcp@a:1,tcp@b:1")
	},
	"WithFilter": func(w *world) {
		d := w.discover("Arith", WithFilter(without("tcp@a:1")))
		w.lists(d, "tcp@b:1")
		w.lists(w.clone(d, "Arith"), "tcp@b:1")
	},
	"WithGuard": func(w *world) {
		probed := new(atomic.Int64)
		d := w.discover("Arith", WithGuard(Guard{Probe: func(context.Context, string, string) error { probed.Add(1); return nil }}))
		pass(time.Minute)
		w.remove("Arith", "tcp@a:1")
		w.remove("Arith", "tcp@b:1")
		pass(10 * time.Second)
		w.lists(d, "tcp@a:1,tcp@b:1")
		if probed.Load() == 0 {
			w.Error("nobody was asked")
		}
	},
	"WithoutGuard": func(w *world) {
		d := w.discover("Arith", WithoutGuard())
		pass(time.Minute)
		w.remove("Arith", "tcp@a:1")
		w.remove("Arith", "tcp@b:1")
		pass(time.Second)
		w.lists(d, "")
	},
	"WithAuth": func(w *world) {
		d := w.discover("Arith", WithAuth("digest", []byte("user:secret")), WithAuth("digest", []byte("other:secret")))
		w.source(d, Live)
		if n := w.zk.Stats().Requests[zktest.OpAuth]; n != 2 {
			w.Errorf("%d credentials were sent, want 2", n)
		}
		for _, line := range w.log.from(slog.LevelDebug) {
			if strings.Contains(line, "secret") {
				w.Errorf("credentials in the log: %s", line)
			}
		}
	},
	"WithAuthFunc": func(w *world) {
		var asked atomic.Int64
		d := w.discover("Arith", WithAuth("digest", []byte("user:secret")), WithAuthFunc(func() (string, []byte, error) {
			return "digest", fmt.Appendf(nil, "other:secret%d", asked.Add(1)), nil
		}))
		w.source(d, Live)
		w.zk.DropConnections()
		pass(10 * time.Second)
		w.source(d, Live)
		if n := w.zk.Stats().Requests[zktest.OpAuth]; n != 4 || asked.Load() != 2 {
			w.Errorf("%d credentials were sent, want 4; asked %d times", n, asked.Load())
		}
		for _, line := range w.log.from(slog.LevelDebug) {
			if strings.Contains(line, "secret") {
				w.Errorf("credentials in the log: %s", line)
			}
		}
	},
	"WithTLS": func(w *world) { // what follows from it is tested in internal/session, with a server that speaks it
		first := make(chan byte, 10)
		d := w.template(WithTLS(new(tls.Config)), WithDialer(func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				b := make([]byte, 1)
				if _, err := theirs.Read(b); err == nil {
					first <- b[0]
				}
			}()
			return ours, nil
		}))
		if got := <-first; got != 0x16 {
			w.Errorf("the first byte is %#x, want that of a TLS handshake", got)
		}
		d.Close()
	},
	"WithDialer": func(w *world) {
		var dialled atomic.Value
		w.discover("Arith", WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialled.Store(network + " " + addr)
			return w.zk.Dial(ctx, network, addr)
		}))
		if got := dialled.Load(); got != "tcp zk:2181" {
			w.Errorf("dialled %v, want the server as it was given", got)
		}
	},
	"WithLogger": func(w *world) {
		log := new(records)
		w.discover("Arith", WithLogger(slog.New(log)))
		pass(time.Second)
		if len(log.with(slog.LevelInfo, "list is live")) != 1 || len(w.log.from(slog.LevelDebug)) > 0 {
			w.Errorf("it got %q", log.from(slog.LevelDebug))
		}
	},
	"WithObserver": func(w *world) {
		var h hooks
		w.discover("Arith", WithObserver(h.observer(func() {})))
		if len(h.published) != 1 {
			w.Errorf("%d lists observed", len(h.published))
		}
	},
	"WithoutWireExtension": func(w *world) {
		w.put("Arith", "tcp@b:1", "")
		if d := w.discover("Arith", WithoutWireExtension()); w.zk.Stats().Watches != 3 || d.Status().Wire != "one-shot watches, single reads" {
			w.Errorf("%d watches, %s", w.zk.Stats().Watches, d.Status().Wire)
		}
	},
	"WithoutMetadataWatch": func(w *world) {
		d := w.discover("Arith", WithoutMetadataWatch())
		if n := w.zk.Stats().Watches; n != 1 {
			w.Errorf("%d watches, want the list's only", n)
		}
		w.put("Arith", "tcp@a:1", "weight=9")
		pass(5 * time.Second)
		if got := d.GetServices()[0].Value; got != "" {
			w.Errorf("metadata %q was followed", got)
		}
		pass(time.Hour)
		if got := d.GetServices()[0].Value; got != "weight=9" {
			w.Errorf("metadata %q after an hour: nobody has looked", got)
		}
	},
}

func TestEveryOptionHasItsEffect(t *testing.T) {
	for name, effect := range effects {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.put("Arith", "tcp@a:1", "")
				w.put("Arith", "tcp@b:1", "")
				effect(w)
			})
		})
	}
	f, err := parser.ParseFile(token.NewFileSet(), "options.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var options []string
	for _, decl := range f.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "With") {
			options = append(options, fn.Name.Name)
		}
	}
	slices.Sort(options)
	if tested := slices.Sorted(maps.Keys(effects)); !slices.Equal(options, tested) {
		t.Errorf("options %v, of which are tested %v", options, tested)
	}
}

func TestTheDefaultsAreAsDocumented(t *testing.T) {
	c, err := newConfig("/rpcx", []string{"zk:2181"}, []Option{nil, WithCacheDir("/x")})
	if err != nil {
		t.Fatal(err)
	}
	if c.sessionTimeout != 10*time.Second || c.startTimeout != 3*time.Second || c.maxCacheAge != 0 || c.lazy || c.pollFiles || c.noMetadata ||
		c.noGuard || c.filter != nil || c.tls != nil || c.dial != nil || c.ensemble != "zk:2181" {
		t.Errorf("%+v", c)
	}
	if c.log.Enabled(t.Context(), slog.LevelInfo) || !c.log.Enabled(t.Context(), slog.LevelWarn) {
		t.Error("the default logger is not at Warn")
	}
}

func TestCredentialsAndTLSAreTheCallersToChangeAfterwards(t *testing.T) {
	secret := []byte("user:secret")
	c := defaultConfig()
	WithAuth("digest", secret).apply(&c)
	clear(secret)
	if got := string(c.auth[0].Credentials); got != "user:secret" {
		t.Errorf("credentials %q", got)
	}
}

func TestThePeersOptionsCount(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options *store.Config
		want    func(c *config) bool
	}{
		{"none", nil, func(c *config) bool { return c.sessionTimeout == 10*time.Second && len(c.auth) == 0 }},
		{"zero", &store.Config{}, func(c *config) bool { return c.sessionTimeout == 10*time.Second && len(c.auth) == 0 }},
		{"timeout", &store.Config{ConnectionTimeout: 20 * time.Second}, func(c *config) bool { return c.sessionTimeout == 20*time.Second }},
		{
			"a timeout that is shorter than possible", &store.Config{ConnectionTimeout: time.Millisecond},
			func(c *config) bool { return c.sessionTimeout == 100*time.Millisecond },
		},
		{"user", &store.Config{Username: "user", Password: "secret"}, func(c *config) bool {
			return len(c.auth) == 1 && c.auth[0].Scheme == "digest" && string(c.auth[0].Credentials) == "user:secret"
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := newConfig("/rpcx", []string{"zk:2181"}, append(peerOptions(tc.options), WithCacheDir("/x")))
			if err != nil || !tc.want(c) {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

func TestAFilterNeedsNoService(t *testing.T) {
	d := alone(t, WithFilter(func(*client.KVPair) bool { panic("never called") }))
	if got := d.GetServices(); len(got) > 0 {
		t.Errorf("a template lists %v", got)
	}
	if err := (&OpError{Op: "list", Path: "/x", Err: ErrClosed}); !errors.Is(err, ErrClosed) || err.Error() != "zkdiscovery: list /x: zkdiscovery: closed" {
		t.Errorf("%v", err)
	}
}
