package filecache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// notified is shorter than the shortest time between two polls: what comes within it was noticed by an event.
const notified = pollInterval * 3 / 5

// next returns what ch delivers within the given time.
func next(tb testing.TB, ch <-chan Snapshot, within time.Duration) Snapshot {
	tb.Helper()
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	select {
	case s, ok := <-ch:
		if !ok {
			tb.Fatal("the channel is closed")
		}
		return s
	case <-timeout.C:
		tb.Fatal("nothing was delivered in time")
	}
	panic("unreachable")
}

// settled returns when events in dir arrive.
func settled(tb testing.TB, r *registry, dir string) {
	tb.Helper()
	sub := r.subscribe(dir, func(string) bool { return true })
	defer r.release(sub)
	probe := filepath.Join(dir, "probe.json") // concerns nobody else
	defer remove(tb, probe)
	eventually(tb, func() bool {
		write(tb, probe, "")
		select {
		case <-sub.events:
			return true
		default:
			return false
		}
	})
}

func eventually(tb testing.TB, condition func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatal("it does not come true")
		}
	}
}

func TestChangesAreNoticedByEvents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, theirs := mustOpen(t, dir), mustOpen(t, dir)
	ch := ours.Watch(t.Context())
	settled(t, &directories, dir)

	mustSave(t, theirs, at(1, "tcp@a:1"))
	wantSame(t, bare(next(t, ch, notified)), at(1, "tcp@a:1"))
	write(t, ours.OverridePath(), `["tcp@o:1"]`)
	if s := next(t, ch, notified); !s.Override {
		t.Fatalf("got %+v, want the override", s)
	}
	remove(t, ours.OverridePath())
	wantSame(t, bare(next(t, ch, notified)), at(1, "tcp@a:1"))

	// Hazard F4: in a Kubernetes volume our file's name is in no event.
	volume(t, ours, "v1", `["tcp@o:1"]`)
	next(t, ch, notified)
	volume(t, ours, "v2", `["tcp@o:2"]`)
	if s := next(t, ch, notified); s.Servers[0].Key != "tcp@o:2" {
		t.Fatalf("got %+v, want the new version", s)
	}
}

// Hazard F6: the watch dies with the directory, and must be put on the one that comes after it.
func TestDirectoryMadeAnewIsWatchedAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cache")
	ours, theirs := mustOpen(t, dir), mustOpen(t, dir)
	ch := ours.Watch(t.Context())
	settled(t, &directories, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	mustSave(t, theirs, at(1, "tcp@a:1"))
	wantSame(t, bare(next(t, ch, 3*pollInterval)), at(1, "tcp@a:1")) // a poll may be needed
	settled(t, &directories, dir)
	mustSave(t, theirs, at(2, "tcp@b:1"))
	wantSame(t, bare(next(t, ch, notified)), at(2, "tcp@b:1"))
}

// A look waits for events to settle, but not for a directory that never does.
func TestEndlessEventsPutNoLookOff(t *testing.T) {
	t.Parallel()
	ours := mustOpen(t, t.TempDir())
	ch := ours.Watch(t.Context())
	settled(t, &directories, ours.dir)
	write(t, ours.OverridePath(), `["tcp@o:1"]`)
	busy := filepath.Join(ours.dir, "somebody else's")
	for deadline := time.Now().Add(notified); ; time.Sleep(settleTime / 10) {
		write(t, busy, "")
		select {
		case s := <-ch:
			wantKeys(t, listOf(s), "tcp@o:1")
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was delivered in time")
		}
	}
}

// What has happened to a directory before it is watched is in no event, nor that it is another one now.
func TestDirectoryIsLookedAtWhenItIsWatched(t *testing.T) {
	d := &directory{path: filepath.Join(t.TempDir(), "link"), newWatcher: fsnotify.NewWatcher}
	sub := &subscription{dir: d, concerns: func(string) bool { return true }, events: make(chan struct{}, 1)}
	d.add(sub)
	attached := func(what string, want int) {
		t.Helper()
		d.attach()
		if got := len(sub.events); got != want {
			t.Errorf("%s: told %d times, want %d", what, got, want)
		}
		for range len(sub.events) {
			<-sub.events
		}
	}
	attached("a directory that is not there", 0)
	defer func() { _ = d.watcher.Close() }()
	relink := func() {
		temp := d.path + "-new"
		if err := errors.Join(os.Symlink(t.TempDir(), temp), os.Rename(temp, d.path)); err != nil {
			t.Fatal(err)
		}
	}
	relink()
	attached("one that has come", 1)
	attached("the same", 0)
	relink()
	attached("another one", 1)
	if err := d.watcher.Remove(d.path); err != nil { // as fsnotify does by itself when a file system is unmounted
		t.Fatal(err)
	}
	attached("the same, which nobody watches any more", 1)
	if d.handle(fsnotify.Event{Name: d.path, Op: fsnotify.Remove}); d.watched == nil {
		t.Error("one that was removed, and is back already, is not watched")
	}
}

// Also a watcher that there is may refuse, as when the user has no inotify watches left.
func TestDirectoryThatCannotBeWatchedIsReported(t *testing.T) {
	d := &directory{path: t.TempDir(), newWatcher: func() (*fsnotify.Watcher, error) {
		w, err := fsnotify.NewWatcher()
		return w, errors.Join(err, w.Close())
	}}
	sub := &subscription{dir: d, failed: make(chan error, 1)}
	d.add(sub)
	d.attach()
	select {
	case err := <-sub.failed:
		wantError(t, err, fsnotify.ErrClosed)
	default:
		t.Error("nobody is told")
	}
}

// Hazard F7: a user has about a hundred inotify instances, so a process uses one for each directory, and none when nobody watches.
func TestOneWatcherServesADirectory(t *testing.T) {
	made := 0
	r := &registry{newWatcher: func() (*fsnotify.Watcher, error) { made++; return fsnotify.NewWatcher() }}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var caches []*Cache
	for range 20 {
		c := mustOpen(t, dir)
		c.directories = r
		c.Watch(ctx)
		caches = append(caches, c)
	}
	eventually(t, func() bool { // or the last would find that the first have gone again
		r.mu.Lock()
		defer r.mu.Unlock()
		d := r.dirs[dir]
		if d == nil {
			return false
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.subs) == len(caches)
	})
	settled(t, r, dir)
	cancel()
	for _, c := range caches {
		_ = c.Close()
	}
	if made != 1 || len(r.dirs) != 0 {
		t.Errorf("%d watchers were made, %d directories are left", made, len(r.dirs))
	}
}

func TestWithoutEventsItPollsAndSaysSoOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { // in which nothing waits for inotify, as there is none
		logs := &lines{}
		theirs := mustOpen(t, dir)
		ours := mustOpen(t, dir, WithLogger(logs.logger()))
		ours.directories = &registry{newWatcher: func() (*fsnotify.Watcher, error) { return nil, errInjected }}
		ch := ours.Watch(t.Context())
		pass(time.Hour)
		mustSave(t, theirs, at(1, "tcp@a:1"))
		look()
		wantFile(t, ch, at(1, "tcp@a:1"))
		if n := logs.count("no file notification"); n != 1 {
			t.Errorf("%d lines in an hour:\n%s", n, logs)
		}
		late := ours.Watch(t.Context()) // hears of it too
		pass(time.Minute)
		wantNothing(t, late)
		if n := logs.count("no file notification"); n != 2 {
			t.Errorf("%d lines for two Watches:\n%s", n, logs)
		}
		_ = ours.Close()
		synctest.Wait()
	})
}

// An overflow means that events were lost, any other error that the watcher may be broken: a new one is made.
func TestErrorsOfTheWatcherAreSurvived(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var made []*fsnotify.Watcher
	r := &registry{newWatcher: func() (*fsnotify.Watcher, error) {
		w, err := fsnotify.NewWatcher()
		mu.Lock()
		defer mu.Unlock()
		made = append(made, w)
		return w, err
	}}
	watcher := func(n int) *fsnotify.Watcher {
		eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(made) > n })
		return made[n]
	}
	dir := t.TempDir()
	sub := r.subscribe(dir, func(string) bool { return true })
	defer r.release(sub)
	settled(t, r, dir)
	<-sub.events // it is watched from now on
	watcher(0).Errors <- fsnotify.ErrEventOverflow
	<-sub.events
	watcher(0).Errors <- errInjected
	<-sub.events
	if err := <-sub.failed; !errors.Is(err, errInjected) {
		t.Errorf("failed with %v", err)
	}
	watcher(1) // from the next try
	settled(t, r, dir)
	<-sub.events
	write(t, filepath.Join(dir, "x"), "")
	<-sub.events

	if err := watcher(1).Close(); err != nil { // its channels are closed: nobody may spin on them
		t.Fatal(err)
	}
	if err := <-sub.failed; !errors.Is(err, fsnotify.ErrClosed) {
		t.Errorf("failed with %v", err)
	}
	watcher(2)
}

func TestEventsOfOtherServicesAreNoReasonToLook(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	for name, want := range map[string]bool{
		"prod,rpcx,_Arith.json":                                   true,
		"prod,rpcx,_Arith.override.json":                          true,
		"prod,rpcx,_Arith" + ensembleSuffix("zk1:2181") + ".json": true,
		"..data":                             true,
		"..2026_01_02_12_00_00.123":          true,
		"current":                            true,
		"prod,rpcx,other.json":               false,
		"prod,rpcx,other.override.json":      false,
		"prod,rpcx,_Arith.prev.json":         false,
		"prod,rpcx,_Arith.lock":              false,
		".prod,rpcx,_Arith.json123":          false,
		".prod,rpcx,_Arith.prev.jsonlink":    false,
		"prod,rpcx,_Arith.json.corrupt-2026": false,
	} {
		if got := c.concerns(name); got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
	}
}

func TestChangesOfModeAreNoReasonToLook(t *testing.T) {
	d := &directory{path: "/cache"}
	sub := &subscription{dir: d, concerns: func(string) bool { return true }, events: make(chan struct{}, 1)}
	d.add(sub)
	d.handle(fsnotify.Event{Name: "/cache/x", Op: fsnotify.Chmod})
	if len(sub.events) != 0 {
		t.Error("told of a chmod")
	}
	d.handle(fsnotify.Event{Name: "/cache/x", Op: fsnotify.Create | fsnotify.Chmod})
	if len(sub.events) != 1 {
		t.Error("not told of a new file")
	}
}
