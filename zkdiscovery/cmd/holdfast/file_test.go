package main

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// cacheOf has a program at these servers, of which one is to be known, keep a list of Arith below dir.
func cacheOf(t *testing.T, dir string, servers ...string) zkdiscovery.Status {
	t.Helper()
	d, err := zkdiscovery.New("/rpcx", "Arith", servers, zkdiscovery.WithCacheDir(dir), zkdiscovery.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	return d.Status()
}

// below is every name below dir, and when it was changed.
func below(t *testing.T, dir string) map[string]time.Time {
	t.Helper()
	found := make(map[string]time.Time)
	if err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			found[path] = info.ModTime()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// Directories that root has made would stop the programs of another user.
func TestWhoOnlyLooksLeavesTheCacheAsItIs(t *testing.T) {
	zk, dir := zktest.Start(t), t.TempDir()
	cacheOf(t, dir, zk.Addr())
	was := below(t, dir)
	for _, where := range [][]string{{"--zk", zk.Addr()}, {"--zk", "127.0.0.1:1"}, {"--zk", zk.Addr(), "--base", "/other"}, {"--zk", zk.Addr(), "--ensemble", "prod"}} {
		for _, command := range []string{"file show", "file verify", "file diff", "override clear", "override set nonsense"} {
			holdfast(t, append(strings.Fields(command), append(where, "--service", "Arith", "--cache-dir", dir)...)...)
		}
	}
	if is := below(t, dir); !maps.Equal(was, is) {
		t.Errorf("%v, was %v", is, was)
	}
}

func TestWhatIsWrongWithAFileNamesTheFile(t *testing.T) {
	zk, dir := zktest.Start(t), t.TempDir()
	st := cacheOf(t, dir, zk.Addr())
	for _, file := range []string{st.CacheFile, st.OverrideFile} {
		if err := os.WriteFile(file, []byte("[1]"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"verify", "show"} {
		code, out, diag := holdfast(t, "file", command, "--zk", zk.Addr(), "--service", "Arith", "--cache-dir", dir)
		all := out + diag
		for _, text := range []string{st.CacheFile + ": damaged", st.OverrideFile + ":1:2: "} {
			if code == exitOK || !strings.Contains(all, text) || strings.Contains(strings.ReplaceAll(all, dir, ""), os.TempDir()) {
				t.Errorf("%s: %d: not only %q is told", command, code, text)
			}
		}
	}
}

// ZooKeeper is at 127.0.0.1 for the programs, and the operator says localhost: that may be another one.
func TestAnOverrideThatNoProgramReadsIsNamed(t *testing.T) {
	zk, dir := zktest.Start(t), t.TempDir()
	home := filepath.Dir(filepath.Dir(filepath.Dir(cacheOf(t, dir, zk.Addr()).CacheFile)))
	set := func(where ...string) (code int, diag string) {
		code, _, diag = holdfast(t, append(where, "override", "set", "--service", "Arith", "--cache-dir", dir, "tcp@127.0.0.1:1")...)
		return code, diag
	}
	if code, diag := set("--zk", zk.Addr()); code != exitOK || diag != "" {
		t.Errorf("%d, %s", code, diag)
	}
	for _, where := range [][]string{{"--zk", strings.Replace(zk.Addr(), "127.0.0.1", "localhost", 1)}, {"--zk", zk.Addr(), "--ensemble", "prod"}} {
		if code, diag := set(where...); code != exitOK || !strings.Contains(diag, "no program has kept a list") || !strings.Contains(diag, home) {
			t.Errorf("%q: %d, %s", where, code, diag)
		}
	}
	if code, diag := set("--zk", zk.Addr(), "--base", "/other"); code != exitOK || !strings.Contains(diag, "no program has kept a list") || strings.Contains(diag, "Lists of this service") {
		t.Errorf("%d, %s", code, diag)
	}
}
