package filecache

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs/logstest"
	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// V3: a program that gave no logger heard nothing.
func TestWithoutALoggerWarningsGoToTheProgramsDefault(t *testing.T) {
	dir := t.TempDir()
	c := mustOpen(t, dir)
	mustSave(t, c, at(1, "tcp@a:1"))
	if err := os.WriteFile(c.Path(), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := logstest.Default(t)
	again, err := Open(dir, "zk1:2181", "/prod/rpcx/Arith", WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.Load(); err == nil {
		t.Fatal("a damaged file is read")
	}
	lines.WantOnly(t, "damaged file set aside")
}

func TestAWrappedDiscoveryWithoutALoggerWarnsTheProgramsDefault(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		mustWrap(t, newSource("tcp@a:1"), dir, WithPollingOnly(), WithGuard(Guard{Probe: refuses})).Close()
		lines := logstest.Default(t)
		source := newSource()
		w, err := Wrap(source, dir, WithPollingOnly())
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		wantKeys(t, w.GetServices(), "tcp@a:1") // from the file, which is told at Info
		close(source.updates)
		pass(time.Second)
		lines.WantOnly(t, "has closed its channel")
		w.Close()
		synctest.Wait()
	})
}
