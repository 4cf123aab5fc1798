package zkdiscovery

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestACloneThatNobodyUsesIsLetGoAfterAMinute(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template()
		c, sibling := w.clone(d, "Arith"), w.clone(d, "Arith")
		keeping := sibling.WatchService()
		for range 5 { // whoever asks uses it
			pass(releaseIdle / 2)
			c.GetServices()
		}
		if !isHeld(c) {
			t.Fatal("let go while it was asked")
		}
		pass(2*releaseIdle + time.Second)
		if isHeld(c) || !isHeld(sibling) {
			t.Fatalf("used by nobody: %v, watched: %v; want only the second to be held", isHeld(c), isHeld(sibling))
		}
		w.put("Arith", "tcp@b:1", "")
		pass(time.Second)
		w.source(c, Live) // the sibling has the service, so it is there at once
		w.lists(c, "tcp@a:1,tcp@b:1")

		sibling.RemoveWatcher(keeping)
		pass(3 * releaseIdle)
		if isHeld(c) || isHeld(sibling) {
			t.Fatal("nobody uses them, and yet they are held")
		}
		if n := len(d.root.services); n > 0 {
			t.Errorf("%d services are left", n)
		}
		w.put("Arith", "tcp@c:1", "")
		ch := c.WatchService()
		if got := keys(<-ch); got != "tcp@a:1,tcp@b:1" {
			t.Errorf("at once: %s, want the last list", got)
		}
		if got := keys(<-ch); got != "tcp@a:1,tcp@b:1,tcp@c:1" {
			t.Errorf("then: %s", got)
		}
		w.do(w.zk.Delete("/rpcx/Arith/tcp@a:1"))
		if got := keys(<-ch); got != "tcp@b:1,tcp@c:1" {
			t.Errorf("and then: %s", got)
		}
	})
}

func TestACloneThatWasLetGoIsNotTakenUpAgainAfterTheEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template()
		c := w.clone(d, "Arith")
		pass(3 * releaseIdle)
		d.Close()
		w.lists(c, "tcp@a:1")
		if isHeld(c) || len(d.root.services) > 0 {
			t.Error("taken up again, by nobody who could be asked")
		}
	})
}

// OneClient holds its lock meanwhile.
func TestCloneDoesNotWaitForAZooKeeperThatIsAway(t *testing.T) {
	for name, away := range map[string]func(w *world, d *Discovery){
		"the connection is gone, and the first attempt to make another has no answer yet": func(w *world, d *Discovery) {
			pass(time.Second)
			w.zk.Silence(true)
			for d.Status().Connected {
				pass(10 * time.Millisecond)
			}
			if st := d.Status(); st.FailedRounds > 0 {
				w.Fatalf("%v", st)
			}
		},
		"there never was one, and no server has answered": func(w *world, d *Discovery) {
			w.zk.Silence(true)
			w.zk.DropConnections()
			for d.Status().FailedRounds == 0 {
				pass(10 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				d := w.template()
				away(w, d)
				began := time.Now()
				w.clone(d, "Arith")
				if took := time.Since(began); took > 0 {
					t.Errorf("Clone has taken %v", took)
				}
			})
		})
	}
}

func TestACloneThatIsUsedAgainAtTheLastMomentIsKept(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template()
		c := w.clone(d, "Arith")
		pass(releaseIdle / 2)
		// The loop has found it idle, and then, before it is let go, somebody asks.
		if gone := d.root.release(c.service(), []*view{c.view}, nil); gone || !isHeld(c) {
			t.Error("let go although it was used half a minute ago")
		}
	})
}

func TestCloseOfTheOwnerWaitsForAServiceThatIsBeingLetGo(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template()
		c := w.clone(d, "Arith")
		pass(10 * time.Second)
		w.breakFile(c)
		w.put("Arith", "tcp@b:1", "")
		pass(releaseIdle - 20*time.Second)
		blocked := make(chan struct{})
		w.log.holdWith(func(msg string) { // the keeper, which cannot write
			if strings.HasPrefix(msg, "cache file not written") {
				<-blocked
			}
		})
		for isHeld(c) {
			pass(100 * time.Millisecond)
		}
		closed := make(chan struct{})
		go func() { d.Close(); close(closed) }()
		pass(time.Millisecond)
		select {
		case <-closed:
			t.Error("Close has returned while the keeper of a service was at work")
		default:
		}
		close(blocked)
		<-closed
	})
}

func TestEveryCloseOfACloneWaitsUntilItsServiceIsGone(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		c := w.clone(w.template(), "Arith")
		pass(10 * time.Second)
		w.breakFile(c)
		w.put("Arith", "tcp@b:1", "")
		blocked := make(chan struct{})
		w.log.holdWith(func(msg string) { // the keeper, which cannot write
			if strings.HasPrefix(msg, "cache file not written") {
				<-blocked
			}
		})
		pass(time.Second)
		var closed atomic.Int64
		for range 3 {
			go func() { c.Close(); closed.Add(1) }()
			pass(time.Millisecond)
		}
		if n := closed.Load(); n > 0 {
			t.Errorf("%d calls of Close have returned while the keeper was at work", n)
		}
		close(blocked)
		synctest.Wait()
		if n := closed.Load(); n != 3 {
			t.Errorf("%d calls of Close have returned, want 3", n)
		}
	})
}

// isHeld reports whether a clone has a service. It is no use of the clone.
func isHeld(d *Discovery) bool { return d.service() != nil }

// service is the service that d has, nil when that was let go.
func (d *Discovery) service() *service { return d.root.serviceOf(d.view) }

// Met as a file that was never written again. A clone had seen its service's path appear, which is era 2 in the file. It was let go. An hour later the file
// was too old to be used, and the next clone began with era 1, which the file refuses as older.
func TestAFileThatIsTooOldIsWrittenAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		tmpl := w.template(WithMaxCacheAge(time.Minute))
		w.clone(tmpl, "Arith")
		pass(10 * time.Second)
		w.put("Arith", "tcp@a:1", "")
		pass(time.Hour)
		c := w.clone(tmpl, "Arith")
		pass(10 * time.Second)
		w.put("Arith", "tcp@b:1", "")
		pass(30 * time.Second)
		w.lists(c, "tcp@a:1,tcp@b:1")
		text, err := os.ReadFile(c.Status().CacheFile)
		if err != nil || !strings.Contains(string(text), "tcp@b:1") {
			w.Errorf("%v: %s", err, text)
		}
	})
}

// Met as a list that became empty although its instance answered. The clone was used again while ZooKeeper gave no list, and let go again before there was
// one: what it had remembered was lost then.
func TestACloneThatIsLetGoBeforeItsFirstListRemembersOn(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		c := w.clone(w.template(WithoutCache(), withoutCacheDir()), "Arith")
		pass(2 * releaseIdle)
		w.zk.FailNext(zktest.OpGetChildren2, zktest.CodeRuntimeInconsistency, 1<<30)
		c.GetServices()
		pass(3 * releaseIdle) // one look in vain, and it is let go
		w.remove("Arith", "tcp@a:1")
		w.zk.FailNext(zktest.OpGetChildren2, 0, 0)
		c.GetServices()
		pass(20 * time.Second)
		w.source(c, Live)
		w.lists(c, "tcp@a:1")
	})
}

// Met as a list that became empty although its instance answered. A clone had held the instance and was let go. Another clone of the service began, and was
// told nothing of it.
func TestWhatAServiceKnewIsForEveryCloneOfItsPath(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		tmpl := w.template(WithoutCache(), withoutCacheDir())
		first := w.clone(tmpl, "Arith")
		pass(time.Second)
		w.remove("Arith", "tcp@a:1")
		pass(5 * time.Second)
		w.lists(first, "tcp@a:1") // held
		pass(2 * releaseIdle)
		second := w.clone(tmpl, "Arith")
		pass(5 * time.Second)
		w.lists(second, "tcp@a:1")
		w.lists(first, "tcp@a:1")
		second.Close()
		pass(5 * time.Second)
		third := w.clone(tmpl, "Arith")
		w.lists(third, "tcp@a:1")
		third.Close()
		first.Close() // the last one
		pass(5 * time.Second)
		w.lists(w.clone(tmpl, "Arith"), "tcp@a:1")
	})
}

// The guard warns once that its probes reach nobody. A program that uses a service now and then was warned each time.
func TestACloneThatIsTakenUpAgainDoesNotWarnAgainThatProbesReachNobody(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		refuses := func(context.Context, string, string) error { return errors.New("refused") }
		c := w.clone(w.template(WithGuard(Guard{Probe: refuses})), "Arith")
		for i := range 3 {
			ch := c.WatchService()
			pass(time.Hour)
			warned := 0
			for _, line := range w.log.from(slog.LevelWarn) {
				if strings.Contains(line, "probes reach no instance") {
					warned++
				}
			}
			if warned != 1 {
				t.Errorf("warned %d times when it is used for the %d. time", warned, i+1)
			}
			c.RemoveWatcher(ch)
			pass(3 * releaseIdle)
		}
	})
}

// The process knows what ZooKeeper listed last. A clone that is made in an outage was told nothing of it, where there was no file.
func TestACloneOfAnOutageShowsWhatItsProcessHeardLast(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template(WithoutCache(), withoutCacheDir())
		c := w.clone(d, "Arith")
		pass(time.Second)
		heard := c.Status().AsOf
		c.Close()
		w.zk.Stop()
		pass(time.Minute)
		c = w.clone(d, "Arith")
		w.lists(c, "tcp@a:1")
		w.source(c, Stale)
		if got := c.Status().AsOf; got.After(heard) {
			t.Errorf("confirmed at %v, which is after %v", got, heard)
		}
	})
}

// The override of a clone that nobody used was deleted in an outage. It stayed in force, since its file had nothing else.
func TestAnOverrideThatIsGoneIsFollowedByWhatWasHeardLast(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		c := w.clone(w.template(), "Arith")
		pass(3 * time.Second)
		st := c.Status()
		w.do(os.WriteFile(st.OverrideFile, []byte(`["tcp@o:1"]`), 0o600))
		pass(10 * time.Second)
		w.lists(c, "tcp@o:1")
		w.zk.Stop()
		pass(2 * releaseIdle)
		w.do(os.Remove(st.OverrideFile))
		w.do(os.RemoveAll(filepath.Dir(st.CacheFile)))
		c.GetServices()
		pass(time.Minute)
		w.lists(c, "tcp@a:1")
		w.source(c, Stale)
	})
}
