package holdfast_test

import (
	"maps"
	"os"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// The cache file among several processes, and an operator: F5, and of O1 what may be believed besides ZooKeeper.

func TestF5SiblingsShareAFile(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		way := &dialer{to: zk.Dial}
		away := t.discover("Arith", zkdiscovery.WithDialer(way.dial))
		near := t.discover("Arith")
		watcher := follow(t.T, away)
		pass(time.Second)

		way.redirect(refuse)
		way.drop()
		pass(time.Minute)
		t.source(away, zkdiscovery.Stale)
		t.put(t.service("Arith")+"/"+instance(1), "n=1")
		pass(10 * time.Second)
		t.lists(near, t.children(t.service("Arith")))
		t.source(away, zkdiscovery.File) // its sibling has heard more of the same
		t.lists(away, t.children(t.service("Arith")))

		must(t.T, zk.Delete(t.service("Arith")+"/"+instance(0)))
		pass(10 * time.Second)
		t.lists(away, map[string]string{instance(1): "n=1"})
		near.Close()
		must(t.T, zk.Set(t.service("Arith")+"/"+instance(1), []byte("n=2"))) // of which nobody hears
		pass(time.Hour)
		t.source(away, zkdiscovery.File)

		way.redirect(zk.Dial)
		pass(15 * time.Second)
		t.source(away, zkdiscovery.Live)
		t.lists(away, map[string]string{instance(1): "n=2"})
		if got := t.saved("Arith"); !maps.Equal(got, map[string]string{instance(1): "n=2"}) {
			t.Errorf("the file has %v", got)
		}
		if heard := watcher.heard(); len(heard) != 4 {
			t.Errorf("a watcher has heard %v", heard)
		}
	})
}

func TestF5LiveListIsNotReplacedByAFile(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		live := t.discover("Arith")
		way := &dialer{to: zk.Dial}
		stale := t.discover("Arith", zkdiscovery.WithDialer(way.dial))
		watcher := follow(t.T, live)
		for n := range 20 { // the stale one comes and goes, and each time it comes it writes
			way.redirect(refuse)
			way.drop()
			pass(time.Second)
			t.set(t.service("Arith")+"/"+instance(0), "n="+string(rune('a'+n)))
			pass(time.Second)
			way.redirect(zk.Dial)
			pass(10 * time.Second)
			t.source(live, zkdiscovery.Live)
			if got, want := t.saved("Arith"), t.children(t.service("Arith")); !maps.Equal(got, want) {
				t.Fatalf("the file has %v, ZooKeeper %v", got, want)
			}
			t.lists(stale, t.children(t.service("Arith")))
		}
		if got := len(watcher.heard()); got != 21 {
			t.Errorf("the one that was live all the time has told of %d lists, not of 21", got)
		}
	})
}

func TestF5QuietServiceDoesNotLookOld(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		d := t.discover("Arith")
		for range 8 {
			pass(time.Hour)
			s, err := t.file("Arith")
			must(t.T, err)
			if age := time.Since(s.AsOf); age > 17*time.Minute {
				t.Errorf("the file says that its list, which is confirmed all the time, is %v old", age)
			}
			if age := time.Since(d.Snapshot().AsOf); age > 10*time.Second {
				t.Errorf("the snapshot says that its list, which is confirmed all the time, is %v old", age)
			}
		}
		d.Close()
		const limit = 20 * time.Minute
		d = t.discover("Arith", zkdiscovery.WithMaxCacheAge(limit))
		pass(3 * time.Hour)
		t.stop()
		s, err := t.file("Arith")
		must(t.T, err)
		if age := time.Since(s.AsOf); age > limit/4+limit/20 {
			t.Errorf("the file is %v old although %v is too old", age, limit)
		}
		d.Close()
		pass(limit - time.Minute - time.Since(s.AsOf))
		d = t.discover("Arith", zkdiscovery.WithMaxCacheAge(limit))
		t.source(d, zkdiscovery.File)
		d.Close()
		pass(2 * time.Minute)
		if d, err := zkdiscovery.New(t.base, "Arith", t.servers(), t.common([]zkdiscovery.Option{zkdiscovery.WithMaxCacheAge(limit)})...); err == nil {
			t.Errorf("a file that is too old was used: %v", d.Status())
		}
		t.source(t.discover("Arith"), zkdiscovery.File)
	})
}

func TestWipedEnsembleIsAcceptedAndItsFileToo(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		d := t.discover("Arith")
		sibling := t.discover("Arith")
		pass(time.Second)
		before, err := t.file("Arith")
		must(t.T, err)
		for n := range int64(4) {
			zk.Wipe()
			t.put(t.service("Arith")+"/"+instance(int(n)), "n=1")
			pass(time.Minute)
			want := map[string]string{instance(int(n)): "n=1"}
			t.lists(d, want)
			t.lists(sibling, want)
			after, err := t.file("Arith")
			must(t.T, err)
			if after.Era <= before.Era || after.Lineage == before.Lineage || !maps.Equal(fileList(after), want) {
				t.Errorf("wiped %d times, and the file has %+v after %+v", n+1, after, before)
			}
			before = after
		}
	})
}

func TestOverrideStandsAboveEverythingUntilItIsDeleted(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		t.put(t.service("Other")+"/"+instance(9), "n=9")
		d, other := t.discover("Arith"), t.discover("Other")
		watcher := follow(t.T, d)
		path := d.Status().OverrideFile
		write := func(s string) { must(t.T, os.WriteFile(path, []byte(s), 0o600)); pass(10 * time.Second) }
		override := map[string]string{"tcp@127.9.9.1:1": "", "tcp@127.9.9.2:2": "weight=5"}

		write(`{"comment": "INC-4711", "servers": ["tcp@127.9.9.1:1", {"key": "tcp@127.9.9.2:2", "value": "weight=5"}]}`)
		t.source(d, zkdiscovery.Override)
		t.lists(d, override)
		t.lists(t.clone(d, "Arith"), override)
		t.lists(other, map[string]string{instance(9): "n=9"})
		t.put(t.service("Arith")+"/"+instance(1), "n=1")
		t.stop()
		pass(time.Hour)
		t.start()
		pass(15 * time.Second)
		t.lists(d, override)
		d.SetFilter(without("tcp@127.9.9.1:1"))
		t.lists(d, map[string]string{"tcp@127.9.9.2:2": "weight=5"})
		d.SetFilter(nil)

		lines := len(t.log.edges())
		for _, bad := range []string{
			`[`, `{"servers": []}`, `[]`, `["tcp@127.9.9.1"]`, `["10.9.9.1:1"]`, `["tcp@127.9.9.1:1", "tcp@127.9.9.1:1"]`, `[7]`, `{"server": ["tcp@127.9.9.1:1"]}`,
		} {
			write(bad)
			t.source(d, zkdiscovery.Override)
			t.lists(d, override) // refused whole: what was in force stays
		}
		if got := t.log.edges()[lines:]; len(got) != 8 || count(got, "1:") != 8 {
			t.Errorf("eight bad ones were reported, with line and reason, by %d lines: %q", len(got), got)
		}
		write(`{"empty": true}`)
		t.lists(d, map[string]string{})
		must(t.T, os.Remove(path))
		pass(10 * time.Second)
		t.source(d, zkdiscovery.Live)
		t.lists(d, t.children(t.service("Arith")))
		if got := watcher.last(); len(got) != 2 {
			t.Errorf("the watcher has %v", got)
		}

		write(`["tcp@127.9.9.1:1"]`)
		d.Close()
		t.stop()
		began := time.Now()
		d = t.discover("Arith")
		if took := time.Since(began); took > 0 {
			t.Errorf("New has taken %v although an override was there", took)
		}
		t.source(d, zkdiscovery.Override)
		must(t.T, os.Remove(path))
		pass(10 * time.Second)
		t.source(d, zkdiscovery.File)
		t.lists(d, t.children(t.service("Arith")))
	})
}
