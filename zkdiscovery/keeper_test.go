package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/filecache"
)

// file is what the cache file of service has.
func (w *world) file(service string) filecache.Snapshot {
	w.Helper()
	s, err := w.sibling(service).Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Fatal(err)
	}
	return s
}

// sibling is the file as another process has it.
func (w *world) sibling(service string) *filecache.Cache {
	w.Helper()
	c, err := filecache.Open(w.dir, ensembleID("", []string{"zk:2181"}, ""), "/rpcx/"+service, filecache.WithPollingOnly())
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) fileHas(service, want string) {
	w.Helper()
	var got []string
	for _, s := range w.file(service).Servers {
		got = append(got, s.Key)
	}
	if diff := cmp.Diff(want, strings.Join(got, ",")); diff != "" {
		w.Errorf("file (-want +got):\n%s", diff)
	}
}

func TestTheFirstListIsWrittenAtOnceAndThenOneASecond(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		pass(0)
		w.fileHas("Arith", "tcp@a:1")
		saves := d.Status().Saves
		for i := range 100 {
			w.put("Arith", "tcp@b:1", strings.Repeat("x", i+1))
			pass(100 * time.Millisecond)
		}
		if n := d.Status().Saves - saves; n < 8 || n > 11 {
			t.Errorf("%d writes in 10 s of constant change, want one a second", n)
		}
		pass(2 * time.Second)
		w.fileHas("Arith", "tcp@a:1,tcp@b:1")
		if s := w.file("Arith"); s.Servers[1].Value != strings.Repeat("x", 100) {
			t.Errorf("the newest list is not in the file: %+v", s)
		}
	})
}

func TestTheLastListIsWrittenWhenCloseFollowsAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		for i := range 30 {
			d := w.discover("Arith")
			ch := d.WatchService()
			<-ch
			value := strconv.Itoa(i)
			w.put("Arith", "tcp@a:1", value)
			<-ch
			d.Close()
			if got := w.file("Arith").Servers[0].Value; got != value {
				t.Fatalf("the file has %q, the last list had %q", got, value)
			}
		}
	})
}

func TestWhatIsNotWritten(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "weight=1")
		d := w.discover("Arith")
		pass(5 * time.Second)
		saves := d.Status().Saves
		unwritten := func(what string) {
			t.Helper()
			if n := d.Status().Saves - saves; n != 0 {
				t.Errorf("%s: %d writes", what, n)
			}
			w.fileHas("Arith", "tcp@a:1")
		}
		for i := range 20 {
			w.put("Arith", "tcp@a:1", "weight=1&calls="+strings.Repeat("1", i+1))
			pass(2 * time.Second)
		}
		unwritten("calls")
		d.SetFilter(without("tcp@a:1"))
		pass(5 * time.Second)
		w.lists(d, "")
		unwritten("what a filter leaves")
		w.do(os.WriteFile(d.Status().OverrideFile, []byte(`["tcp@z:1"]`), 0o600))
		pass(10 * time.Second)
		w.source(d, Override)
		unwritten("an override")
		w.zk.Stop()
		pass(time.Minute)
		unwritten("a list that cannot be confirmed")
	})
}

func without(key string) func(*client.KVPair) bool {
	return func(p *client.KVPair) bool { return p.Key != key }
}

// lastRestamp is how often a list that does not change is written again.
const lastRestamp = 15 * time.Minute

func TestAQuietListIsWrittenAgainSoThatItDoesNotLookOld(t *testing.T) {
	for _, tc := range []struct {
		name   string
		maxAge time.Duration
		every  time.Duration
	}{
		{"without a maximum age", 0, lastRestamp},
		{"a quarter of the maximum age", 20 * time.Minute, 5 * time.Minute},
		{"a long maximum age", 10 * time.Hour, lastRestamp},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.put("Arith", "tcp@a:1", "")
				d := w.discover("Arith", WithMaxCacheAge(tc.maxAge))
				pass(time.Second)
				saves := d.Status().Saves
				pass(10*tc.every + tc.every/2)
				if n := d.Status().Saves - saves; n < 9 || n > 12 {
					t.Errorf("%d writes in ten times %v", n, tc.every)
				}
				if age := time.Since(w.file("Arith").AsOf); age > tc.every*12/10 {
					t.Errorf("the list looks %v old", age)
				}
				w.zk.Stop()
				stopped := time.Now()
				saves = d.Status().Saves
				pass(10 * tc.every)
				if n := d.Status().Saves - saves; n > 0 {
					t.Errorf("%d writes of a list that nobody confirms", n)
				}
				if asOf := w.file("Arith").AsOf; asOf.After(stopped) {
					t.Errorf("confirmed as of %v, but ZooKeeper has been away since %v", asOf, stopped)
				}
			})
		})
	}
}

func TestAFailedWriteIsTriedAgainAndReportedOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		pass(5 * time.Second)
		w.breakFile(d)
		w.put("Arith", "tcp@b:1", "")
		pass(10 * time.Minute)
		st := d.Status()
		if st.CacheErr == nil || !strings.Contains(st.String(), "cache file not written") {
			t.Errorf("Status does not tell: %v", st)
		}
		if st.SaveErrors < 10 || st.SaveErrors > 14 {
			t.Errorf("%d attempts in 10 min, want one after 10 s, 20 s, 40 s, and then every minute", st.SaveErrors)
		}
		if n := len(w.log.with(slog.LevelInfo, "cache file not written", "service=/rpcx/Arith", d.Status().CacheFile)); n != 1 {
			t.Errorf("reported %d times", n)
		}
		w.lists(d, "tcp@a:1,tcp@b:1")
		w.put("Arith", "tcp@c:1", "") // not what failed, but the newest is written when it can be
		pass(5 * time.Second)
		w.mendFile(d)
		pass(time.Minute)
		w.fileHas("Arith", "tcp@a:1,tcp@b:1,tcp@c:1")
		if st := d.Status(); st.CacheErr != nil || time.Since(st.CacheSaved) > time.Minute {
			t.Errorf("after a write that succeeded: %v, saved %v ago", st.CacheErr, time.Since(st.CacheSaved))
		}
		if n := len(w.log.with(slog.LevelInfo, "cache file written again", "service=/rpcx/Arith")); n != 1 {
			t.Errorf("the end of it was reported %d times", n)
		}
	})
}

// F8: the log names the file that serves, not the one that was set aside.
func TestTheLogNamesTheGenerationThatServes(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		pass(5 * time.Second)
		w.put("Arith", "tcp@b:1", "")
		pass(5 * time.Second)
		file := d.Status().CacheFile
		d.Close()
		w.do(os.WriteFile(file, []byte("damaged"), 0o600))
		w.zk.Stop()
		d = w.discover("Arith")
		pass(time.Second) // the line follows the list
		w.lists(d, "tcp@a:1")
		prev := filepath.Join(filepath.Dir(file), "prev.json")
		if lines := w.log.with(slog.LevelWarn, "list comes from the cache file", "file="+prev); len(lines) != 1 {
			t.Errorf("told: %q", w.log.from(slog.LevelWarn))
		}
	})
}

// A file that claims to be newer than what ZooKeeper says now is of an earlier process, or of a sibling that has counted more eras.
func TestAFileThatRefusesToBeReplacedIsOvertaken(t *testing.T) {
	for _, tc := range []struct {
		name string
		file func(live filecache.Snapshot) filecache.Snapshot
	}{
		{"a later era", func(s filecache.Snapshot) filecache.Snapshot { s.Era += 5; return s }},
		{"another history", func(s filecache.Snapshot) filecache.Snapshot { s.Era, s.Lineage = s.Era+5, "f-f"; return s }},
		{"a later transaction, which a backup has undone", func(s filecache.Snapshot) filecache.Snapshot { s.Zxid += 1000; return s }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.put("Arith", "tcp@a:1", "")
				d := w.discover("Arith", WithoutGuard())
				pass(5 * time.Second)
				s := tc.file(w.file("Arith"))
				s.Servers = []filecache.Server{{Key: "tcp@other:1"}}
				w.do(w.sibling("Arith").Save(s))
				pass(10 * time.Second)
				w.source(d, Live)
				w.lists(d, "tcp@a:1")
				w.put("Arith", "tcp@b:1", "")
				pass(10 * time.Second)
				w.fileHas("Arith", "tcp@a:1,tcp@b:1")
				if is := w.file("Arith"); is.Era < s.Era || is.Era == s.Era && is.Zxid < s.Zxid {
					t.Errorf("era %d, zxid %d after %d, %d", is.Era, is.Zxid, s.Era, s.Zxid)
				}
				if st := d.Status(); st.SaveErrors > 0 || st.CacheErr != nil {
					t.Errorf("that is no failed write: %v, %v", st.SaveErrors, st.CacheErr)
				}
			})
		})
	}
}

func TestADirectoryThatCannotBeOneIsNeverFatal(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.do(os.WriteFile(w.dir+"/file", nil, 0o600))
		d := w.discover("Arith", WithCacheDir(w.dir+"/file/cache"))
		pass(time.Minute)
		w.source(d, Live)
		st := d.Status()
		if st.CacheErr == nil || len(w.log.with(slog.LevelError, "cache file", "service=/rpcx/Arith")) != 1 {
			t.Errorf("CacheErr %v, log %q", st.CacheErr, w.log.from(slog.LevelError))
		}
	})
}

// The clock was a year ahead when the file was written: it would have looked fresh for a year.
func TestAFileFromTheFutureIsSetRightWhileZooKeeperIsThere(t *testing.T) {
	for _, limit := range []time.Duration{0, time.Hour} {
		t.Run(fmt.Sprintf("maximum age %v", limit), func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.put("Arith", "tcp@a:1", "")
				w.discover("Arith").Close()
				cache, err := filecache.Open(w.dir, "zk:2181", "/rpcx/Arith")
				w.do(err)
				s, err := cache.Load()
				w.do(err)
				s.AsOf = s.AsOf.Add(365 * 24 * time.Hour)
				w.do(cache.Save(s))

				w.zk.Stop()
				d, err := New("/rpcx", "Arith", []string{"zk:2181"}, w.options(WithMaxCacheAge(limit))...)
				if limit > 0 {
					wantError(w.T, err, ErrNoSnapshot, "in the future")
				} else {
					w.do(err)
					d.Close()
				}

				w.do(w.zk.Start())
				d = w.discover("Arith", WithMaxCacheAge(limit))
				pass(time.Hour)
				if age := time.Since(w.file("Arith").AsOf); age < 0 || age > time.Hour {
					w.Errorf("an hour later the file is confirmed %v ago", age)
				}
				d.Close()
				w.zk.Stop()
				w.source(w.discover("Arith", WithMaxCacheAge(limit)), File)
			})
		})
	}
}

// While instances are held, two saves are a second apart. Close does not wait for that second, and loses nothing.
func TestTheLastListBeforeCloseIsInTheFile(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, key := range []string{"tcp@a:1", "tcp@b:1", "tcp@c:1"} {
			w.put("Arith", key, "")
		}
		d := w.discover("Arith", WithGuard(Guard{Probe: func(context.Context, string, string) error { return nil }}))
		pass(time.Minute)
		w.remove("Arith", "tcp@b:1")
		w.remove("Arith", "tcp@c:1")
		pass(5 * time.Second)
		w.put("Arith", "tcp@d:1", "")
		pass(100 * time.Millisecond)
		w.put("Arith", "tcp@e:1", "")
		pass(100 * time.Millisecond)
		d.Close()
		w.fileHas("Arith", "tcp@a:1,tcp@b:1,tcp@c:1,tcp@d:1,tcp@e:1")
	})
}

// A service that is let go has a record waiting for its second: somebody is held, and has been listed again.
func TestAServiceThatIsLetGoSavesWhatWaits(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, key := range []string{"tcp@a:1", "tcp@b:1", "tcp@c:1", "tcp@d:1"} {
			w.put("Arith", key, "")
		}
		template := w.template(probesAnswer())
		d := w.clone(template, "Arith")
		pass(10 * time.Second)
		for _, key := range []string{"tcp@a:1", "tcp@b:1", "tcp@c:1"} {
			w.remove("Arith", key)
		}
		used := time.Now()
		d.GetServices()
		pass(time.Until(used.Add(releaseIdle)) - 100*time.Millisecond)
		w.put("Arith", "tcp@a:1", "")
		pass(50 * time.Millisecond)
		w.put("Arith", "tcp@b:1", "")
		pass(time.Minute)
		if n := len(template.Status().Services); n > 0 {
			t.Fatalf("%d services are kept", n)
		}
		held := 0
		for _, s := range w.file("Arith").Servers {
			if !s.HeldSince.IsZero() {
				held++
			}
		}
		if held != 1 {
			t.Errorf("%d are held in the file, want 1", held)
		}
	})
}

// A service that takes long to end, in a filter, say, ends after one that has begun later.
func TestTheMemoryOfAServiceThatBeganLaterStays(t *testing.T) {
	r := &root{memories: make(map[string]*memory)}
	for _, number := range []int64{1, 3, 2} {
		r.remember("/rpcx/Arith", &memory{service: number})
	}
	if got := r.memories["/rpcx/Arith"].service; got != 3 {
		t.Errorf("what service %d knew is remembered", got)
	}
}

// A clone that was closed hands on what it knew while the next one of its path begins.
func TestTheMemoryOfAServiceIsForTheOneThatHasBegunAlready(t *testing.T) {
	next := &service{number: 2, pokes: make(chan struct{}, 1)}
	r := &root{services: map[string]*service{"/rpcx/Arith": next}}
	r.remember("/rpcx/Arith", &memory{service: 1})
	if next.memory == nil || len(next.pokes) == 0 {
		t.Errorf("it has %v, and is to look %d times", next.memory, len(next.pokes))
	}
}
