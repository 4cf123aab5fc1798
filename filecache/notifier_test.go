package filecache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/holdfast-go/holdfast/tests/bubbles"
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
func settled(tb testing.TB, n *notifier, dir string) {
	tb.Helper()
	sub := n.subscribe(map[string][]string{dir: {"probe"}}) // which matters to nobody else
	defer n.release(sub)
	probe := filepath.Join(dir, "probe")
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
	settled(t, &notifications, ours.at)

	mustSave(t, theirs, at(1, "tcp@a:1"))
	wantSame(t, bare(next(t, ch, notified)), at(1, "tcp@a:1"))
	write(t, ours.OverridePath(), `["tcp@o:1"]`)
	if s := next(t, ch, notified); !s.Override {
		t.Fatalf("got %+v, want the override", s)
	}
	remove(t, ours.OverridePath())
	wantSame(t, bare(next(t, ch, notified)), at(1, "tcp@a:1"))
}

// One directory may have two paths in one process, a link and what it leads to. The file system notifies of it once.
func TestChangesAreNoticedByEventsOnEveryPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for name, paths := range map[string][2]string{"the link first": {link, dir}, "the link second": {dir, link}} {
		n := &notifier{newWatcher: fsnotify.NewWatcher}
		first := n.subscribe(map[string][]string{paths[0]: {"x"}})
		second := n.subscribe(map[string][]string{paths[1]: {"x", "y"}})
		noticed := func(what string, sub *subscription, file string) {
			t.Helper()
			for len(sub.events) > 0 {
				<-sub.events
			}
			write(t, filepath.Join(dir, file), what)
			select {
			case <-sub.events:
			case <-time.After(patience):
				t.Errorf("%s: %s is not noticed", name, what)
			}
		}
		settled(t, n, dir)
		noticed("a change, by the first", first, "x")
		noticed("a change, by the second", second, "x")
		noticed("what matters to the second only", second, "y")
		n.release(first)
		noticed("a change after the first has gone", second, "x")
		n.release(second)
	}
}

// Hazard F6: the watch dies with the directory, and must be put on the one that comes after it.
func TestDirectoryMadeAnewIsWatchedAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cache")
	ours, theirs := mustOpen(t, dir), mustOpen(t, dir)
	ch := ours.Watch(t.Context())
	settled(t, &notifications, ours.at)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	mustSave(t, theirs, at(1, "tcp@a:1"))
	wantSame(t, bare(next(t, ch, 3*pollInterval)), at(1, "tcp@a:1")) // a poll may be needed
	settled(t, &notifications, ours.at)
	mustSave(t, theirs, at(2, "tcp@b:1"))
	wantSame(t, bare(next(t, ch, notified)), at(2, "tcp@b:1"))
}

// A look waits for events to settle, but not for a directory that never does.
func TestEndlessEventsPutNoLookOff(t *testing.T) {
	t.Parallel()
	ours := mustOpen(t, t.TempDir())
	ch := ours.Watch(t.Context())
	settled(t, &notifications, ours.at)
	write(t, ours.OverridePath(), `["tcp@o:1"]`)
	busy := ours.Path() // damaged each time
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

// withoutLinks is path as events have it.
func withoutLinks(tb testing.TB, path string) string {
	tb.Helper()
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// What has happened to a directory before it is watched is in no event, nor that it is another one now.
func TestDirectoryIsLookedAtWhenItIsWatched(t *testing.T) {
	n := &notifier{newWatcher: fsnotify.NewWatcher}
	path := filepath.Join(t.TempDir(), "link")
	sub := n.subscribe(map[string][]string{path: {"x"}})
	defer n.release(sub)
	attached := func(what string, want int) {
		t.Helper()
		sub.attach()
		if got := len(sub.events); got != want {
			t.Errorf("%s: told %d times, want %d", what, got, want)
		}
		for range len(sub.events) {
			<-sub.events
		}
	}
	attached("a directory that is not there", 0)
	relink := func() {
		temp := path + "-new"
		if err := errors.Join(os.Symlink(t.TempDir(), temp), os.Rename(temp, path)); err != nil {
			t.Fatal(err)
		}
	}
	relink()
	attached("one that has come", 1)
	attached("the same", 0)
	relink()
	attached("another one", 1)
	n.handle(fsnotify.Event{Name: withoutLinks(t, path), Op: fsnotify.Remove})
	attached("one that was removed, and is back already", 1)
}

// Also a watcher that there is may refuse, as when the user has no inotify watches left.
func TestDirectoryThatCannotBeWatchedIsReported(t *testing.T) {
	n := &notifier{newWatcher: fsnotify.NewWatcher}
	sub := n.subscribe(map[string][]string{t.TempDir(): nil})
	defer n.release(sub)
	n.watcher.Close()
	eventually(t, func() bool {
		select {
		case err := <-sub.failed:
			return errors.Is(err, fsnotify.ErrClosed)
		default:
			return false
		}
	})
}

// Hazard F7: a user has about a hundred inotify instances, so a process uses one, and none when nobody watches.
func TestOneWatcherServesAllDirectories(t *testing.T) {
	made := 0
	n := &notifier{newWatcher: func() (*fsnotify.Watcher, error) { made++; return fsnotify.NewWatcher() }}
	dir := withoutLinks(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	var caches []*Cache
	for i := range 20 {
		c, err := Open(dir, "zk", fmt.Sprintf("/rpcx/%d", i/2))
		if err != nil {
			t.Fatal(err)
		}
		c.notify = n
		c.Watch(ctx)
		caches = append(caches, c)
	}
	eventually(t, func() bool { // or the last would find that the first have gone again
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.dirs) == 10 && n.dirs[caches[0].at] != nil && len(n.dirs[caches[0].at].subs) == 2
	})
	settled(t, n, caches[3].at)
	cancel()
	for _, c := range caches {
		_ = c.Close()
	}
	if made != 1 || len(n.dirs) != 0 || n.watcher != nil {
		t.Errorf("%d watchers were made, %d directories are left", made, len(n.dirs))
	}
}

func TestWithoutEventsItPollsAndSaysSoOnce(t *testing.T) {
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) { // in which nothing waits for inotify, as there is none
		logs := &lines{}
		theirs := mustOpen(t, dir)
		ours := mustOpen(t, dir, WithLogger(logs.logger()))
		ours.notify = &notifier{newWatcher: func() (*fsnotify.Watcher, error) { return nil, errInjected }}
		ch := ours.Watch(t.Context())
		pass(time.Hour)
		mustSave(t, theirs, at(1, "tcp@a:1"))
		look()
		wantFile(t, ch, at(1, "tcp@a:1"))
		if n := logs.count(`level=WARN msg="no file notification, looking every few seconds instead"`); n != 1 {
			t.Errorf("%d lines in an hour:\n%s", n, logs)
		}
		late := ours.Watch(t.Context()) // hears of it too
		pass(time.Minute)
		wantNothing(t, late)
		if n := logs.count(`level=WARN msg="no file notification, looking every few seconds instead"`); n != 2 {
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
	n := &notifier{newWatcher: func() (*fsnotify.Watcher, error) {
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
	sub := n.subscribe(map[string][]string{dir: {"x"}})
	defer n.release(sub)
	<-sub.events // it is watched from now on
	watcher(0).Errors <- fsnotify.ErrEventOverflow
	<-sub.events
	watcher(0).Errors <- errInjected
	<-sub.events
	if err := <-sub.failed; !errors.Is(err, errInjected) {
		t.Errorf("failed with %v", err)
	}
	sub.attach() // as a Watch does every few seconds
	watcher(1)
	<-sub.events
	write(t, filepath.Join(dir, "x"), "")
	<-sub.events

	if err := watcher(1).Close(); err != nil { // its channels are closed: nobody may spin on them
		t.Fatal(err)
	}
	if err := <-sub.failed; !errors.Is(err, fsnotify.ErrClosed) {
		t.Errorf("failed with %v", err)
	}
	sub.attach()
	watcher(2)
}

// F6: what others write beside our files wakes nobody.
func TestOnlyEventsOfOurFilesAreAReasonToLook(t *testing.T) {
	operators := withoutLinks(t, t.TempDir())
	c := mustOpen(t, withoutLinks(t, t.TempDir()), WithOverrideDir(operators))
	n := &notifier{newWatcher: fsnotify.NewWatcher}
	sub := n.subscribe(c.filesThatMatter())
	defer n.release(sub)
	for range 2 {
		<-sub.events // both are watched from now on
		sub.attach()
		if len(sub.events) == 0 {
			break
		}
	}
	for name, want := range map[string]bool{
		filepath.Join(c.at, "list.json"):                            true,
		filepath.Join(c.at, "override.json"):                        true,
		filepath.Join(operators, "prod__rpcx__Arith.json"):          true,
		filepath.Join(operators, "..data"):                          true,
		filepath.Join(operators, "prod__rpcx__Other.json"):          false,
		filepath.Join(c.at, "app.log"):                              false,
		filepath.Join(c.at, "prev.json"):                            false,
		filepath.Join(c.at, "list.lock"):                            false,
		filepath.Join(c.at, ".list.json123"):                        false,
		filepath.Join(c.at, "list.json.corrupt-2026"):               false,
		filepath.Join(filepath.Dir(c.at), "other", "override.json"): false,
	} {
		for len(sub.events) > 0 {
			<-sub.events
		}
		n.handle(fsnotify.Event{Name: name, Op: fsnotify.Create | fsnotify.Chmod})
		if got := len(sub.events) > 0; got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
		n.handle(fsnotify.Event{Name: name, Op: fsnotify.Chmod})
		if !want && len(sub.events) > 0 {
			t.Errorf("%s: told of a change of mode", name)
		}
	}
}
