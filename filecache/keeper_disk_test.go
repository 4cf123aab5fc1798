package filecache

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/tests/bubbles"
)

func TestWhatCannotBeWrittenIsTriedAgain(t *testing.T) {
	keeping(t, nil, func(t *testing.T, k *kept) {
		k.Save(recordOf(at(1, "tcp@a:1")))
		pass(time.Minute)
		away := k.theirs.at + "-away"
		if err := os.Rename(k.theirs.at, away); err != nil {
			t.Fatal(err)
		}
		write(t, k.theirs.at, "in the way")
		k.Save(recordOf(at(2, "tcp@b:1")))
		pass(10 * time.Minute)
		st := k.Status()
		if st.Err == nil || st.Failures < 10 || st.Failures > 14 {
			t.Errorf("%d attempts in 10 min, want one after 10 s, 20 s, 40 s, and then every minute: %+v", st.Failures, st)
		}
		k.Save(recordOf(at(3, "tcp@c:1"))) // not what failed, but the newest is written when it can be
		pass(5 * time.Second)
		remove(t, k.theirs.at)
		if err := os.Rename(away, k.theirs.at); err != nil {
			t.Fatal(err)
		}
		pass(maxRetry)
		k.has(t, at(3, "tcp@c:1"))
		if st := k.Status(); st.Err != nil || time.Since(st.Saved) > maxRetry {
			t.Errorf("status %+v", st)
		}
		if k.logs.count("cache file not written") != 1 || k.logs.count("cache file written again") != 1 {
			t.Errorf("told:\n%s", k.logs)
		}
	})
}

func TestAListThatCouldNotBeWrittenDoesNotReplaceANewerOne(t *testing.T) {
	k := &Keeper{wants: make(chan struct{}, 1)}
	old, newer := &belief.Record{Generation: belief.Generation{Zxid: 1}}, &belief.Record{Generation: belief.Generation{Zxid: 2}}
	k.Save(newer)
	k.again(old)
	if s := k.take(); s.Zxid != 2 {
		t.Errorf("list %d is to be written, want the newer one", s.Zxid)
	}
	k.again(old)
	if s := k.take(); s == nil || s.Zxid != 1 {
		t.Errorf("%v is to be written, want the one that could not be", s)
	}
}

// F4: a disk that is full by turns fills no log.
func TestFailuresByTurnsFillNoLog(t *testing.T) {
	keeping(t, nil, func(t *testing.T, k *kept) {
		for n := range int64(50) {
			if err := os.RemoveAll(k.theirs.at); err != nil {
				t.Fatal(err)
			}
			write(t, k.theirs.at, "in the way")
			k.Save(recordOf(at(2*n+1, "tcp@a:1")))
			pass(5 * time.Second)
			remove(t, k.theirs.at)
			pass(time.Minute)
			k.has(t, at(2*n+1, "tcp@a:1"))
		}
		if told := k.logs.count("cache file"); told > 40 {
			t.Errorf("%d lines about 100 changes:\n%s", told, k.logs)
		}
	})
}

// F7: the owner of a Keeper waits for a disk that hangs in Close only, and there not twice.
func TestKeeperLeavesADiskThatHangs(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		for since, want := range map[time.Duration]time.Duration{0: hungDisk, time.Second: hungDisk - time.Second, time.Hour: 0} {
			k := &kept{logs: &lines{}}
			hung := make(chan struct{})
			k.Keeper = k.start(dir, func() { <-hung })
			k.Save(recordOf(at(1, "tcp@a:1")))
			if st := k.Status(); st.Path != "" || st.Err != nil {
				t.Errorf("status %+v", st)
			}
			pass(since)
			k.quiet(t)
			began := time.Now()
			wantError(t, k.Close(), ErrHung)
			if took := time.Since(began); took != want {
				t.Errorf("it had hung for %v, and Close has taken %v, want %v", since, took, want)
			}
			wantError(t, k.Close(), ErrHung)
			if n := k.logs.count(`level=ERROR msg="the disk of the cache file does not answer, leaving it"`); n != 1 {
				t.Errorf("told %d times:\n%s", n, k.logs)
			}
			close(hung)
			synctest.Wait() // it has noticed
			if err := k.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A slow disk is not a dead one: while its operations come back, Close goes on waiting for the last write, as long as it has.
func TestCloseWaitsForASlowDisk(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		k := &kept{logs: &lines{}}
		k.Keeper = k.start(dir, func() { time.Sleep(time.Second) })
		k.Save(recordOf(at(1, "tcp@a:1")))
		pass(999 * time.Millisecond)
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		wantSame(t, mustLoad(t, mustOpen(t, dir)), at(1, "tcp@a:1"))
	})
}

func TestKeeperWithoutAFileSaysSo(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		logs := &lines{}
		k := Keep(func() (*Cache, error) { return nil, errInjected }, KeeperConfig{Logger: logs.logger(), Dir: "/cache"})
		k.Save(recordOf(at(1, "tcp@a:1")))
		if n := <-k.News(); !errors.Is(n.Err, errInjected) {
			t.Errorf("news %+v", n)
		}
		if st := k.Status(); !errors.Is(st.Err, errInjected) || st.Path != "" || logs.count("no cache file") != 1 {
			t.Errorf("status %+v, log %s", st, logs)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Met as a client whose cache directory was a file when its first call came: it had neither file nor override for the rest of its life.
func TestAFileThatCannotBeOpenedIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		in := filepath.Join(dir, "cache")
		write(t, in, "a file")
		logs := &lines{}
		k := Keep(func() (*Cache, error) { return Open(in, "zk1:2181", "/prod/rpcx/Arith", WithPollingOnly()) },
			KeeperConfig{Logger: logs.logger(), Dir: in})
		k.Save(recordOf(at(1, "tcp@a:1")))
		time.Sleep(time.Hour)
		if n := logs.count("no cache file"); n != 1 {
			t.Errorf("told %d times", n)
		}
		if err := os.Remove(in); err != nil {
			t.Fatal(err)
		}
		time.Sleep(maxRetry + time.Second)
		synctest.Wait()
		if st := k.Status(); st.Err != nil || st.Path == "" || st.Saves != 1 || logs.count("can be opened now") != 1 {
			t.Errorf("status %+v, log %s", st, logs)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		wantSame(t, mustLoad(t, mustOpen(t, in)), at(1, "tcp@a:1"))
	})
}

// F6: at rest nothing is read, whatever the size of the files.

// An operator's override is for an emergency, in which the cache directory may be what is broken.
func TestAnOverrideElsewhereCountsWithoutACacheDirectory(t *testing.T) {
	for name, opener := range map[string]func(dir, ensemble string, opts []Option) func() (*Cache, error){
		"a new Cache each time": func(dir, ensemble string, opts []Option) func() (*Cache, error) {
			return func() (*Cache, error) { return Open(dir, ensemble, "/prod/rpcx/Arith", opts...) }
		},
		"the same, as Wrap does": func(dir, ensemble string, opts []Option) func() (*Cache, error) {
			c, err := prepare(disk{}, dir, ensemble, "/prod/rpcx/Arith", newConfig(opts), nil)
			return func() (*Cache, error) { return c, errors.Join(err, c.open()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, operators := t.TempDir(), t.TempDir()
			bubbles.Test(t, func(t *testing.T) {
				in, over := filepath.Join(dir, "cache"), filepath.Join(operators, "prod__rpcx__Arith.json")
				write(t, in, "a file")
				write(t, over, `["tcp@o:1"]`)
				k := &kept{logs: &lines{}}
				opts := []Option{WithPollingOnly(), WithOverrideDir(operators), WithLogger(k.logs.logger())}
				k.Keeper = Keep(opener(in, "zk2:2181,zk1:2181", opts), KeeperConfig{Logger: k.logs.logger(), Dir: in})
				defer k.Close()
				pass(2 * pollInterval)
				k.overridden(t, "tcp@o:1")
				write(t, over, `["tcp@o:2"]`)
				pass(2 * pollInterval)
				k.overridden(t, "tcp@o:2")
				remove(t, over)
				pass(2 * pollInterval)
				k.overridden(t)
				write(t, over, `["tcp@o:3"]`)
				pass(2 * pollInterval)
				k.overridden(t, "tcp@o:3")
				k.Save(recordOf(at(2, "tcp@b:1")))
				pass(lastRestamp / 2)
				k.quiet(t)
				if st := k.Status(); st.Err == nil || st.OverridePath != over || st.Saves+st.Failures != 0 || k.logs.count("level=ERROR") != 1 {
					t.Errorf("status %+v, log:\n%s", st, k.logs)
				}

				write(t, over, `nonsense`) // which changes nothing, neither now nor when there is a directory
				pass(2 * pollInterval)
				remove(t, in) // and what was to be mounted there is: the directory of the same ensemble at another time
				k.theirs = mustOpen(t, in)
				mustSave(t, k.theirs, at(1, "tcp@a:1"))
				pass(maxRetry)
				if n := k.next(t); n.File == nil || n.File.Zxid != 1 || n.Override == nil || k.Status().Err != nil || k.logs.count("can be opened now") != 1 {
					t.Errorf("news %+v, status %+v, log:\n%s", n, k.Status(), k.logs)
				}
				k.has(t, at(2, "tcp@b:1"))
				remove(t, over)
				pass(2 * pollInterval)
				k.overridden(t)
			})
		})
	}
}

// overridden takes the news, and checks what the override in it has; none without keys.
func (k *kept) overridden(t *testing.T, keys ...string) {
	t.Helper()
	n := k.next(t)
	if n.Override == nil {
		n.Override = &Snapshot{}
	}
	wantKeys(t, listOf(*n.Override), keys...)
}
