package holdfast_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// The cache file, as a discovery uses it: F1 to F4.

// file is what a new process would find.
func (w *world) file(service string) (filecache.Snapshot, error) {
	w.Helper()
	c, err := filecache.Open(w.dir, "zk:2181", w.service(service))
	must(w.T, err)
	defer c.Close()
	return c.Load()
}

// saved is the list in the file.
func (w *world) saved(service string) map[string]string {
	w.Helper()
	s, err := w.file(service)
	must(w.T, err)
	return fileList(s)
}

func fileList(s filecache.Snapshot) map[string]string {
	m := make(map[string]string)
	for _, server := range s.Servers {
		m[server.Key] = server.Value
	}
	return m
}

func TestF1FileIsWholeAtEveryInstant(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		const instances = 10
		for i := range instances {
			t.put(t.service("Arith")+"/"+instance(i), "n=0")
		}
		d := t.discover("Arith")
		pass(time.Second)
		var stop atomic.Bool
		var readers sync.WaitGroup
		var found sync.Map
		for range 2 {
			readers.Go(func() {
				for !stop.Load() {
					s, err := t.file("Arith")
					if err != nil || len(s.Servers) != instances {
						t.Errorf("the file has %d of %d instances: %v", len(s.Servers), instances, err)
						return
					}
					found.Store(s.Servers[0].Value, true)
					time.Sleep(7 * time.Millisecond)
				}
			})
		}
		for n := 1; n <= 50; n++ {
			for i := range instances {
				t.set(t.service("Arith")+"/"+instance(i), fmt.Sprintf("n=%d", n))
			}
			time.Sleep(300 * time.Millisecond)
		}
		stop.Store(true)
		readers.Wait()
		d.Close()
		if got, want := t.saved("Arith"), t.children(t.service("Arith")); !maps.Equal(got, want) {
			t.Errorf("after Close the file has %v, not the last list %v", got, want)
		}
		different := 0
		found.Range(func(any, any) bool { different++; return true })
		if different < 5 || different > 25 {
			t.Errorf("%d versions were seen in the file in 15s: it is written at once, and then at most once a second", different)
		}
	})
}

func TestF2DamagedFileIsSetAsideAndItsPredecessorUsed(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"truncated":    func(b []byte) []byte { return b[:len(b)-7] },
		"empty":        func([]byte) []byte { return nil },
		"bit flipped":  func(b []byte) []byte { b[len(b)-20] ^= 4; return b },
		"zeroes":       func(b []byte) []byte { return make([]byte, len(b)) },
		"not json":     func([]byte) []byte { return []byte("hello\nworld\n") },
		"json of else": func([]byte) []byte { return []byte(`{"servers": ["tcp@127.6.6.6:666"]}`) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *world, _ *zktest.Server) {
				t.put(t.service("Arith")+"/"+instance(0), "n=0")
				withFile(t, "Arith")
				t.put(t.service("Arith")+"/"+instance(1), "n=1")
				withFile(t, "Arith")
				t.stop()
				main := onlyFile(t, "*rith.json")
				whole, err := os.ReadFile(main)
				must(t.T, err)
				must(t.T, os.WriteFile(main, damage(bytes.Clone(whole)), 0o600))

				d := t.discover("Arith")
				t.source(d, zkdiscovery.File)
				t.lists(d, map[string]string{instance(0): "n=0"}) // as of the generation before
				if aside, _ := filepath.Glob(main + ".corrupt-*"); len(aside) != 1 {
					t.Errorf("set aside: %q", aside)
				}
				if lines := t.log.edges(); count(lines, "damaged file set aside") != 1 {
					t.Errorf("the damage is not reported once: %q", lines)
				}
				t.start()
				pass(15 * time.Second)
				t.lists(d, t.children(t.service("Arith")))
				if got := t.saved("Arith"); !maps.Equal(got, t.children(t.service("Arith"))) {
					t.Errorf("the file has %v", got)
				}
			})
		})
	}
}

func TestF2UnusableFileIsNeverFatal(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"a gigabyte": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<30))
		},
		"a directory": func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
		"a future version": func(path string) error {
			return os.WriteFile(path, []byte("{\"holdfast\": 99, \"whatever\": \"comes\"}\n"), 0o600)
		},
		"a dangling link":  func(path string) error { return os.Symlink(path+".nowhere", path) },
		"a link to itself": func(path string) error { return os.Symlink(path, path) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *world, _ *zktest.Server) {
				t.put(t.service("Arith")+"/"+instance(0), "n=0")
				withFile(t, "Arith")
				main := onlyFile(t, "*rith.json")
				must(t.T, os.Remove(main))
				must(t.T, make(main))
				t.stop()
				if d, err := zkdiscovery.New(t.base, "Arith", t.servers(), t.common(nil)...); !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
					t.Errorf("New returned %v, %v", d, err)
				}
				t.start()
				d := t.discover("Arith")
				t.source(d, zkdiscovery.Live)
				t.put(t.service("Arith")+"/"+instance(1), "n=1")
				pass(time.Minute)
				t.lists(d, t.children(t.service("Arith")))
			})
		})
	}
}

// onlyFile is the one file in the cache directory whose name matches.
func onlyFile(w *world, pattern string) string {
	w.Helper()
	found, err := filepath.Glob(filepath.Join(w.dir, pattern))
	must(w.T, err)
	if len(found) != 1 {
		w.Fatalf("files like %s: %q", pattern, found)
	}
	return found[0]
}

func TestF2FileOfAnotherEnsembleIsLeftAlone(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		withFile(t, "Arith")
		main := onlyFile(t, "*rith.json")
		theirs, err := os.ReadFile(main)
		must(t.T, err)
		other := []string{"other:2181"}
		t.stop()
		if _, err := zkdiscovery.New(t.base, "Arith", other, t.common(nil)...); !errors.Is(err, filecache.ErrForeign) {
			t.Errorf("New returned %v: the file is another ensemble's", err)
		}
		t.start()
		t.put(t.service("Arith")+"/"+instance(1), "n=1")
		d, err := zkdiscovery.New(t.base, "Arith", other, t.common(nil)...)
		must(t.T, err)
		pass(time.Second)
		d.Close()
		if now, err := os.ReadFile(main); err != nil || !bytes.Equal(now, theirs) {
			t.Errorf("the file of the other ensemble has changed: %v", err)
		}

		t.stop()
		for _, x := range []struct {
			servers   []string
			instances int
		}{
			{other, 2},
			{[]string{"zk:2181"}, 1},
			{[]string{"new:2181", "zk:2181"}, 1}, // servers come and go one at a time
		} {
			d, err := zkdiscovery.New(t.base, "Arith", x.servers, t.common(nil)...)
			must(t.T, err)
			if got := len(d.GetServices()); got != x.instances {
				t.Errorf("%v have found the file with %d instances, not theirs with %d", x.servers, got, x.instances)
			}
			d.Close()
		}
		named := []zkdiscovery.Option{zkdiscovery.WithEnsembleName("prod")}
		if _, err := zkdiscovery.New(t.base, "Arith", other, t.common(named)...); !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
			t.Errorf("New returned %v: an ensemble with a name has not written yet", err)
		}
		if _, err := zkdiscovery.New(t.base, "Arith", []string{"zk:2181/chroot"}, t.common(nil)...); !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
			t.Errorf("New returned %v: another chroot is another ensemble", err)
		}
	})
}

func TestF3OnlyWhatCameFromZooKeeperIsWritten(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		for i := range 3 {
			t.put(t.service("Arith")+"/"+instance(i), "n=0")
		}
		all := t.children(t.service("Arith"))
		d := t.discover("Arith", zkdiscovery.WithFilter(without(instance(0))))
		pass(time.Second)
		if got := t.saved("Arith"); !maps.Equal(got, all) {
			t.Errorf("the file is not the unfiltered list: %v", got)
		}
		must(t.T, os.WriteFile(d.Status().OverrideFile, []byte(`["tcp@127.6.6.6:666"]`), 0o600))
		pass(10 * time.Second)
		t.lists(d, map[string]string{"tcp@127.6.6.6:666": ""})
		pass(time.Hour)
		if got := t.saved("Arith"); !maps.Equal(got, all) {
			t.Errorf("the file is not what came from ZooKeeper: %v", got)
		}
		must(t.T, os.Remove(d.Status().OverrideFile))
		pass(10 * time.Second)
		d.Close()

		t.stop()
		before, err := t.file("Arith")
		must(t.T, err)
		d = t.discover("Arith", zkdiscovery.WithFilter(without(instance(0))))
		t.source(d, zkdiscovery.File)
		pass(2 * time.Hour)
		d.Close()
		if after, err := t.file("Arith"); err != nil || !after.SavedAt.Equal(before.SavedAt) {
			t.Errorf("what came from the file was written: %v, %v", after, err)
		}
	})
}

func TestF4FailedWriteIsALineACounterAndAStatus(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		d := t.discover("Arith")
		watcher := follow(t.T, d)
		pass(time.Second)
		lines := len(t.log.edges())
		must(t.T, os.RemoveAll(t.dir))
		must(t.T, os.WriteFile(t.dir, nil, 0o600)) // no directory any more: every write fails, root's too
		for n := range 100 {
			t.set(t.service("Arith")+"/"+instance(0), fmt.Sprintf("n=%d", n))
			pass(11 * time.Second)
			if got := watcher.last()[instance(0)]; got != fmt.Sprintf("n=%d", n) {
				t.Fatalf("a watcher has %s while the disk fails, not n=%d", got, n)
			}
		}
		st := d.Status()
		if st.CacheErr == nil || st.SaveErrors < 10 {
			t.Errorf("the status says %v, %d failures", st.CacheErr, st.SaveErrors)
		}
		if !strings.Contains(st.String(), "cache file not written") {
			t.Errorf("a person would not see it: %v", st)
		}
		if got := t.log.edges()[lines:]; len(got) != 1 {
			t.Errorf("logged %q", got)
		}
		must(t.T, os.Remove(t.dir))
		pass(time.Minute)
		if st := d.Status(); st.CacheErr != nil {
			t.Errorf("the disk is well again, and the status says %v", st.CacheErr)
		}
		if got := t.saved("Arith"); got[instance(0)] != "n=99" {
			t.Errorf("the file has %v", got)
		}
		if got := t.log.edges()[lines:]; len(got) != 2 {
			t.Errorf("logged %q", got)
		}
	})
}
