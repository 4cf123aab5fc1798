package zkdiscovery

import (
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/edges"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// O6: an ensemble in which one server has other permissions than the next wrote a line a second.
func TestAZooKeeperThatGivesTheListByTurnsFillsNoLog(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		pass(time.Minute)
		turns := func(n int) (refusals int) {
			for i := range n {
				w.zk.FailNext(zktest.OpGetChildren2, zktest.CodeNoAuth, 1)
				w.put("Arith", fmt.Sprintf("tcp@b%d-%d:1", n, i), "")
				pass(10 * time.Millisecond)
				if d.Snapshot().Source == Stale {
					refusals++
				}
				pass(20 * time.Second)
				w.source(d, Live)
			}
			return refusals
		}
		before := len(w.log.from(slog.LevelInfo))
		if n := turns(500); n != 500 {
			w.Fatalf("refused %d times of 500", n)
		}
		lines := w.log.from(slog.LevelInfo)[before:]
		if len(lines) > edges.Limit+1 || len(w.log.with(slog.LevelWarn, "keeps changing between live and not")) != 1 {
			w.Errorf("%d lines: %q", len(lines), lines)
		}
		if n := len(w.log.with(slog.LevelDebug, "does not give the list")); n != 500 {
			w.Errorf("%d lines at Debug, want all 500", n)
		}
		pass(2 * edges.SettledAfter)
		if n := len(w.log.with(slog.LevelWarn, "the list has settled", "source=live")); n != 1 {
			w.Errorf("%d lines say that it has settled", n)
		}
		turns(1)
		if n := len(w.log.with(slog.LevelWarn, "does not give the list")); n != edges.Limit+1 {
			w.Errorf("told %d times, want %d: the next one is news again", n, edges.Limit+1)
		}
	})
}

// A lock recipe below the service's path makes and removes a child each time.
func TestChildrenThatAreNoInstancesAreReportedOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		for i := range 100 {
			w.put("Arith", fmt.Sprintf("lock-%d", i), "")
			pass(time.Second)
			if st := d.Status(); st.Skipped != 1 {
				w.Fatalf("%d skipped", st.Skipped)
			}
			w.remove("Arith", fmt.Sprintf("lock-%d", i))
			pass(time.Second)
		}
		if lines := w.log.with(slog.LevelInfo, "skipping children"); len(lines) != 1 {
			w.Errorf("%q", lines)
		}
	})
}

func TestAHookThatPanicsIsReportedOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		d := w.discover("Arith", WithObserver(Observer{Published: func(Published) { panic("mine") }}))
		for i := range 50 {
			w.put("Arith", fmt.Sprintf("tcp@a%d:1", i), "")
			pass(time.Second)
		}
		if st := d.Status(); st.Instances != 50 {
			w.Errorf("%v", st)
		}
		if all, told := w.log.with(slog.LevelDebug, "hook panicked", "mine"), w.log.with(slog.LevelError, "hook panicked"); len(told) != 1 || len(all) < 50 {
			w.Errorf("reported %d times, told %q", len(all), told)
		}
	})
}

// O6: with hundreds of services on one connection each outage wrote two lines for each of them.
func TestAnOutageOfManyServicesIsAHandfulOfLines(t *testing.T) {
	inBubble(t, func(w *world) {
		d, err := NewTemplate("/rpcx", []string{"zk:2181"}, WithDialer(w.zk.Dial), WithoutCache(), WithLogger(slog.New(w.log)))
		w.do(err)
		defer d.Close()
		var clones []*Discovery
		for i := range 200 {
			service := fmt.Sprintf("S%d", i)
			w.put(service, "tcp@a:1", "")
			c := w.clone(d, service)
			c.WatchService()
			clones = append(clones, c)
		}
		pass(time.Minute)
		if n := len(w.log.with(slog.LevelInfo, "list is live")); n != edges.Limit {
			w.Errorf("%d services of %d have told that they are there", n, len(clones))
		}
		outage := func(most int) {
			w.Helper()
			before := len(w.log.from(slog.LevelInfo))
			w.zk.Stop()
			pass(15 * time.Minute)
			w.do(w.zk.Start())
			pass(15 * time.Minute)
			for _, c := range clones {
				w.source(c, Live)
			}
			lines := w.log.from(slog.LevelInfo)[before:]
			if len(lines) > most || len(lines) < 4 {
				w.Errorf("%d lines: %q", len(lines), lines)
			}
		}
		outage(4 + 2*(edges.Limit+1))
		outage(4 + 2*(edges.Limit+1))
		if n := len(w.log.with(slog.LevelDebug, "cannot be asked")); n != 2*len(clones) {
			w.Errorf("%d lines at Debug", n)
		}
		if n := len(w.log.with(slog.LevelWarn, "the same with more services", "what=stale")); n != 2 {
			w.Errorf("%d outages say that it is the same with more", n)
		}
	})
}

// A Kubernetes emptyDir may be written by anybody, and each of hundreds of services said so at the start.
func TestAnOpenCacheDirectoryIsAHandfulOfLinesToo(t *testing.T) {
	inBubble(t, func(w *world) {
		w.do(os.Chmod(w.dir, 0o777))
		d := w.template()
		const services = 30
		for i := range services {
			w.clone(d, fmt.Sprintf("S%d", i))
		}
		pass(time.Second)
		if n := len(w.log.with(slog.LevelWarn, "anybody may write", "service=/rpcx/S")); n != edges.Limit {
			w.Errorf("%d services have told", n)
		}
		if n := len(w.log.with(slog.LevelDebug, "anybody may write")); n != services+1 { // and that there are more
			w.Errorf("%d lines in all", n)
		}
		pass(edges.SettledAfter)
		w.clone(d, "later")
		pass(time.Second)
		if n := len(w.log.with(slog.LevelWarn, "anybody may write", "service=/rpcx/later")); n != 1 {
			w.Errorf("told %d times the next time", n)
		}
	})
}
