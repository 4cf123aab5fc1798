package file

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
	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// F1 to F4.

func TestF1FileIsWholeAtEveryInstant(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		const instances = 10
		for i := range instances {
			t.Put(t.Node("Arith", i), "n=0")
		}
		d := t.Discover("Arith")
		harness.Pass(time.Second)
		var stop atomic.Bool
		var readers sync.WaitGroup
		var found sync.Map
		for range 2 {
			readers.Go(func() {
				for !stop.Load() {
					s, err := t.File("Arith")
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
				t.Set(t.Node("Arith", i), fmt.Sprintf("n=%d", n))
			}
			time.Sleep(300 * time.Millisecond)
		}
		stop.Store(true)
		readers.Wait()
		d.Close()
		if got, want := t.Saved("Arith"), t.Children(t.Service("Arith")); !maps.Equal(got, want) {
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
			harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
				t.Put(t.Node("Arith", 0), "n=0")
				t.LeaveFile("Arith")
				t.Put(t.Node("Arith", 1), "n=1")
				t.LeaveFile("Arith")
				t.Stop()
				main := listOf(t, "Arith")
				whole, err := os.ReadFile(main)
				harness.Must(t, err)
				harness.Must(t, os.WriteFile(main, damage(bytes.Clone(whole)), 0o600))

				d := t.Discover("Arith")
				t.Source(d, zkdiscovery.File)
				t.Lists(d, map[string]string{harness.Instance(0): "n=0"}) // as of the generation before
				if aside, _ := filepath.Glob(main + ".corrupt-*"); len(aside) != 1 {
					t.Errorf("set aside: %q", aside)
				}
				if lines := t.Logbook.Edges(); harness.Count(lines, "damaged file set aside") != 1 {
					t.Errorf("the damage is not reported once: %q", lines)
				}
				t.Start()
				harness.Pass(15 * time.Second)
				t.Lists(d, t.Children(t.Service("Arith")))
				if got := t.Saved("Arith"); !maps.Equal(got, t.Children(t.Service("Arith"))) {
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
			harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
				t.Put(t.Node("Arith", 0), "n=0")
				t.LeaveFile("Arith")
				main := listOf(t, "Arith")
				harness.Must(t, os.Remove(main))
				harness.Must(t, make(main))
				t.Stop()
				if d, err := zkdiscovery.New(t.Base, "Arith", t.Servers(), t.Common()...); !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
					t.Errorf("New returned %v, %v", d, err)
				}
				t.Start()
				d := t.Discover("Arith")
				t.Source(d, zkdiscovery.Live)
				t.Put(t.Node("Arith", 1), "n=1")
				harness.Pass(time.Minute)
				t.Lists(d, t.Children(t.Service("Arith")))
			})
		})
	}
}

// listOf is the path of a service's cache file.
func listOf(w *harness.World, service string) string {
	w.Helper()
	c, err := filecache.Open(w.Dir, w.Servers()[0], w.Service(service))
	harness.Must(w, err)
	defer c.Close()
	return c.Path()
}

func TestF2FileOfAnotherEnsembleIsLeftAlone(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		t.LeaveFile("Arith")
		main := listOf(t, "Arith")
		theirs, err := os.ReadFile(main)
		harness.Must(t, err)
		other := []string{"other:2181"}
		t.Stop()
		if _, err := zkdiscovery.New(t.Base, "Arith", other, t.Common()...); !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
			t.Errorf("New returned %v: the file is another ensemble's", err)
		}
		t.Start()
		t.Put(t.Node("Arith", 1), "n=1")
		d, err := zkdiscovery.New(t.Base, "Arith", other, t.Common()...)
		harness.Must(t, err)
		harness.Pass(time.Second)
		d.Close()
		if now, err := os.ReadFile(main); err != nil || !bytes.Equal(now, theirs) {
			t.Errorf("the file of the other ensemble has changed: %v", err)
		}

		t.Stop()
		for _, x := range []struct {
			servers   []string
			instances int
		}{
			{other, 2},
			{[]string{"zk:2181"}, 1},
			{[]string{"new:2181", "zk:2181"}, 1}, // servers come and go one at a time
		} {
			d, err := zkdiscovery.New(t.Base, "Arith", x.servers, t.Common()...)
			harness.Must(t, err)
			if got := len(d.GetServices()); got != x.instances {
				t.Errorf("%v have found the file with %d instances, not theirs with %d", x.servers, got, x.instances)
			}
			d.Close()
		}
		named := []zkdiscovery.Option{zkdiscovery.WithEnsembleName("prod")}
		if _, err := zkdiscovery.New(t.Base, "Arith", other, t.Common(named...)...); !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
			t.Errorf("New returned %v: an ensemble with a name has not written yet", err)
		}
		if _, err := zkdiscovery.New(t.Base, "Arith", []string{"zk:2181/chroot"}, t.Common()...); !errors.Is(err, zkdiscovery.ErrNoSnapshot) {
			t.Errorf("New returned %v: another chroot is another ensemble", err)
		}
	})
}

func TestF3OnlyWhatCameFromZooKeeperIsWritten(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		for i := range 3 {
			t.Put(t.Node("Arith", i), "n=0")
		}
		all := t.Children(t.Service("Arith"))
		d := t.Discover("Arith", zkdiscovery.WithFilter(harness.Without(harness.Instance(0))))
		harness.Pass(time.Second)
		if got := t.Saved("Arith"); !maps.Equal(got, all) {
			t.Errorf("the file is not the unfiltered list: %v", got)
		}
		harness.Must(t, os.WriteFile(d.Status().OverrideFile, []byte(`["tcp@127.6.6.6:666"]`), 0o600))
		harness.Pass(10 * time.Second)
		t.Lists(d, map[string]string{"tcp@127.6.6.6:666": ""})
		harness.Pass(time.Hour)
		if got := t.Saved("Arith"); !maps.Equal(got, all) {
			t.Errorf("the file is not what came from ZooKeeper: %v", got)
		}
		harness.Must(t, os.Remove(d.Status().OverrideFile))
		harness.Pass(10 * time.Second)
		d.Close()

		t.Stop()
		before, err := t.File("Arith")
		harness.Must(t, err)
		d = t.Discover("Arith", zkdiscovery.WithFilter(harness.Without(harness.Instance(0))))
		t.Source(d, zkdiscovery.File)
		harness.Pass(2 * time.Hour)
		d.Close()
		if after, err := t.File("Arith"); err != nil || !after.SavedAt.Equal(before.SavedAt) {
			t.Errorf("what came from the file was written: %v, %v", after, err)
		}
	})
}

// The file is written once a second at most. What comes in between waits, and ZooKeeper may be gone when its time has come.
func TestF3LastListBeforeAnOutageIsInTheFile(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		t.Register("Arith", 0)
		d := t.Discover("Arith")
		harness.Pass(time.Minute)
		t.Register("Arith", 1) // this one is written at once
		harness.Pass(300 * time.Millisecond)
		want := t.Register("Arith", 0, 1, 2)
		harness.Pass(300 * time.Millisecond)
		t.Lists(d, want)
		t.Stop()
		harness.Pass(2 * time.Second)
		other := t.Discover("Arith")
		t.Source(other, zkdiscovery.File)
		t.Lists(other, want)
	})
}

func TestF4FailedWriteIsALineACounterAndAStatus(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		harness.Pass(time.Second)
		lines := len(t.Logbook.Edges())
		harness.Must(t, os.RemoveAll(t.Dir))
		harness.Must(t, os.WriteFile(t.Dir, nil, 0o600)) // no directory any more: every write fails, root's too
		for n := range 100 {
			t.Set(t.Node("Arith", 0), fmt.Sprintf("n=%d", n))
			harness.Pass(11 * time.Second)
			if got := watcher.Last()[harness.Instance(0)]; got != fmt.Sprintf("n=%d", n) {
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
		if got := t.Logbook.Edges()[lines:]; len(got) != 1 {
			t.Errorf("logged %q", got)
		}
		harness.Must(t, os.Remove(t.Dir))
		harness.Pass(time.Minute)
		if st := d.Status(); st.CacheErr != nil {
			t.Errorf("the disk is well again, and the status says %v", st.CacheErr)
		}
		if got := t.Saved("Arith"); got[harness.Instance(0)] != "n=99" {
			t.Errorf("the file has %v", got)
		}
		if got := t.Logbook.Edges()[lines:]; len(got) != 2 {
			t.Errorf("logged %q", got)
		}
	})
}
