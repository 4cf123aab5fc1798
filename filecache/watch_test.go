package filecache

import (
	"os"
	"testing"
	"time"
)

func next(tb testing.TB, ch <-chan Snapshot) Snapshot {
	tb.Helper()
	select {
	case s, ok := <-ch:
		if !ok {
			tb.Fatal("the channel is closed")
		}
		return s
	case <-time.After(patience):
		tb.Fatal("nothing was delivered")
	}
	panic("unreachable")
}

func TestOverrideComesChangesAndGoes(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	saved := at(1, "tcp@10.0.0.1:1")
	mustSave(t, c, saved)
	ch := c.Watch(t.Context())

	write(t, c.OverridePath(), `["tcp@10.0.0.9:1"]`)
	if s := next(t, ch); !s.Override || s.Servers[0].Key != "tcp@10.0.0.9:1" {
		t.Fatalf("got %+v, want the override", s)
	}
	write(t, c.OverridePath(), `{"empty": true}`)
	if s := next(t, ch); !s.Override || len(s.Servers) != 0 {
		t.Fatalf("got %+v, want the empty override", s)
	}
	if err := os.Remove(c.OverridePath()); err != nil {
		t.Fatal(err)
	}
	wantSame(t, bare(next(t, ch)), saved)
}

func TestWatchTellsOfAnotherProcessesSave(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := mustOpen(t, dir), mustOpen(t, dir)
	mustSave(t, ours, at(1, "tcp@a:1"))
	ch := ours.Watch(t.Context())
	mustSave(t, ours, at(2, "tcp@a:1", "tcp@b:1"))
	mustSave(t, theirs, at(3, "tcp@c:1"))
	wantSame(t, bare(next(t, ch)), at(3, "tcp@c:1"))
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}
