package file

import (
	"maps"
	"os"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// The cache file among several processes, and an operator: F5, and of O1 what may be believed besides ZooKeeper.

func TestF5SiblingsShareAFile(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		way := harness.NewDialer(zk.Dial)
		away := t.Discover("Arith", zkdiscovery.WithDialer(way.Dial))
		near := t.Discover("Arith")
		watcher := t.Follow(away)
		harness.Pass(time.Second)

		way.Redirect(harness.Refuse)
		way.Drop()
		harness.Pass(time.Minute)
		t.Source(away, zkdiscovery.Stale)
		t.Put(t.Node("Arith", 1), "n=1")
		harness.Pass(10 * time.Second)
		t.Lists(near, t.Children(t.Service("Arith")))
		t.Source(away, zkdiscovery.File) // its sibling has heard more of the same
		t.Lists(away, t.Children(t.Service("Arith")))

		harness.Must(t, zk.Delete(t.Node("Arith", 0)))
		harness.Pass(10 * time.Second)
		t.Lists(away, map[string]string{harness.Instance(1): "n=1"})
		near.Close()
		harness.Must(t, zk.Set(t.Node("Arith", 1), []byte("n=2"))) // of which nobody hears
		harness.Pass(time.Hour)
		t.Source(away, zkdiscovery.File)

		way.Redirect(zk.Dial)
		harness.Pass(15 * time.Second)
		t.Source(away, zkdiscovery.Live)
		t.Lists(away, map[string]string{harness.Instance(1): "n=2"})
		if got := t.Saved("Arith"); !maps.Equal(got, map[string]string{harness.Instance(1): "n=2"}) {
			t.Errorf("the file has %v", got)
		}
		if heard := watcher.Heard(); len(heard) != 4 {
			t.Errorf("a watcher has heard %v", heard)
		}
	})
}

func TestF5LiveListIsNotReplacedByAFile(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		live := t.Discover("Arith")
		way := harness.NewDialer(zk.Dial)
		stale := t.Discover("Arith", zkdiscovery.WithDialer(way.Dial))
		watcher := t.Follow(live)
		for n := range 20 { // the stale one comes and goes, and each time it comes it writes
			way.Redirect(harness.Refuse)
			way.Drop()
			harness.Pass(time.Second)
			t.Set(t.Node("Arith", 0), "n="+string(rune('a'+n)))
			harness.Pass(time.Second)
			way.Redirect(zk.Dial)
			harness.Pass(10 * time.Second)
			t.Source(live, zkdiscovery.Live)
			if got, want := t.Saved("Arith"), t.Children(t.Service("Arith")); !maps.Equal(got, want) {
				t.Fatalf("the file has %v, ZooKeeper %v", got, want)
			}
			t.Lists(stale, t.Children(t.Service("Arith")))
		}
		if got := len(watcher.Heard()); got != 21 {
			t.Errorf("the one that was live all the time has told of %d lists, not of 21", got)
		}
	})
}

func TestF5QuietServiceDoesNotLookOld(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		d := t.Discover("Arith")
		for range 8 {
			harness.Pass(time.Hour)
			s, err := t.File("Arith")
			harness.Must(t, err)
			if age := time.Since(s.AsOf); age > 17*time.Minute {
				t.Errorf("the file says that its list, which is confirmed all the time, is %v old", age)
			}
			if age := time.Since(d.Snapshot().AsOf); age > 10*time.Second {
				t.Errorf("the snapshot says that its list, which is confirmed all the time, is %v old", age)
			}
		}
		d.Close()
		const limit = 20 * time.Minute
		d = t.Discover("Arith", zkdiscovery.WithMaxCacheAge(limit))
		harness.Pass(3 * time.Hour)
		t.Stop()
		s, err := t.File("Arith")
		harness.Must(t, err)
		if age := time.Since(s.AsOf); age > limit/4+limit/20 {
			t.Errorf("the file is %v old although %v is too old", age, limit)
		}
		d.Close()
		harness.Pass(limit - time.Minute - time.Since(s.AsOf))
		d = t.Discover("Arith", zkdiscovery.WithMaxCacheAge(limit))
		t.Source(d, zkdiscovery.File)
		d.Close()
		harness.Pass(2 * time.Minute)
		if d, err := zkdiscovery.New(t.Base, "Arith", t.Servers(), t.Common(zkdiscovery.WithMaxCacheAge(limit))...); err == nil {
			t.Errorf("a file that is too old was used: %v", d.Status())
		}
		t.Source(t.Discover("Arith"), zkdiscovery.File)
	})
}

func TestWipedEnsembleIsAcceptedAndItsFileToo(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		d := t.Discover("Arith")
		sibling := t.Discover("Arith")
		harness.Pass(time.Second)
		before, err := t.File("Arith")
		harness.Must(t, err)
		for n := range int64(4) {
			zk.Wipe()
			t.Put(t.Node("Arith", int(n)), "n=1")
			harness.Pass(time.Minute)
			want := map[string]string{harness.Instance(int(n)): "n=1"}
			t.Lists(d, want)
			t.Lists(sibling, want)
			after, err := t.File("Arith")
			harness.Must(t, err)
			if after.Era <= before.Era || after.Lineage == before.Lineage || !maps.Equal(harness.FileList(after), want) {
				t.Errorf("wiped %d times, and the file has %+v after %+v", n+1, after, before)
			}
			before = after
		}
	})
}

func TestOverrideStandsAboveEverythingUntilItIsDeleted(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		t.Put(t.Node("Other", 9), "n=9")
		d, other := t.Discover("Arith"), t.Discover("Other")
		watcher := t.Follow(d)
		path := d.Status().OverrideFile
		write := func(s string) { harness.Must(t, os.WriteFile(path, []byte(s), 0o600)); harness.Pass(10 * time.Second) }
		override := map[string]string{"tcp@127.9.9.1:1": "", "tcp@127.9.9.2:2": "weight=5"}

		write(`{"comment": "INC-4711", "servers": ["tcp@127.9.9.1:1", {"key": "tcp@127.9.9.2:2", "value": "weight=5"}]}`)
		t.Source(d, zkdiscovery.Override)
		t.Lists(d, override)
		t.Lists(t.Clone(d, "Arith"), override)
		t.Lists(other, map[string]string{harness.Instance(9): "n=9"})
		t.Put(t.Node("Arith", 1), "n=1")
		t.Stop()
		harness.Pass(time.Hour)
		t.Start()
		harness.Pass(15 * time.Second)
		t.Lists(d, override)
		d.SetFilter(harness.Without("tcp@127.9.9.1:1"))
		t.Lists(d, map[string]string{"tcp@127.9.9.2:2": "weight=5"})
		d.SetFilter(nil)

		lines := len(t.Logbook.Edges())
		for _, bad := range []string{
			`[`, `{"servers": []}`, `[]`, `["tcp@127.9.9.1"]`, `["10.9.9.1:1"]`, `["tcp@127.9.9.1:1", "tcp@127.9.9.1:1"]`, `[7]`, `{"server": ["tcp@127.9.9.1:1"]}`,
		} {
			write(bad)
			t.Source(d, zkdiscovery.Override)
			t.Lists(d, override) // refused whole: what was in force stays
		}
		harness.Pass(2 * time.Minute)
		if got := t.Logbook.Edges()[lines:]; len(got) != 5 || harness.Count(got, "1:") != 5 || harness.Count(got, "withheld=4") != 1 {
			t.Errorf("eight bad ones were reported, with line and reason, four at once and the newest with a count, by %d lines: %q", len(got), got)
		}
		write(`{"empty": true}`)
		t.Lists(d, map[string]string{})
		harness.Must(t, os.Remove(path))
		harness.Pass(10 * time.Second)
		t.Source(d, zkdiscovery.Live)
		t.Lists(d, t.Children(t.Service("Arith")))
		if got := watcher.Last(); len(got) != 2 {
			t.Errorf("the watcher has %v", got)
		}

		write(`["tcp@127.9.9.1:1"]`)
		d.Close()
		t.Stop()
		began := time.Now()
		d = t.Discover("Arith")
		if took := time.Since(began); took > 0 {
			t.Errorf("New has taken %v although an override was there", took)
		}
		t.Source(d, zkdiscovery.Override)
		harness.Must(t, os.Remove(path))
		harness.Pass(10 * time.Second)
		t.Source(d, zkdiscovery.File)
		t.Lists(d, t.Children(t.Service("Arith")))
	})
}
