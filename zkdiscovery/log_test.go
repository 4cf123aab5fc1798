package zkdiscovery

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// O6: an ensemble in which one server has other permissions than the next wrote a line a second.
func TestAZooKeeperThatGivesTheListByTurnsFillsNoLog(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith", WithoutWireExtension())
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
		if n := turns(500); n != 500 {
			w.Fatalf("refused %d times of 500", n)
		}
		if n := len(w.log.with(slog.LevelDebug, "does not give the list")); n < 500 {
			w.Errorf("%d lines at Debug, want all 500", n)
		}
		pass(2 * logs.Calm)
		const counts = 6 // after 1, 4, 16 and 60 minutes, 60 again, and when it was over
		told, counted := len(w.log.with(slog.LevelWarn, "does not give the list")), len(w.log.with(slog.LevelWarn, "does not give the list", "withheld="))
		if told != logs.Limit+counts || counted != counts {
			w.Errorf("%d lines in three hours, %d of them counts: %q", told, counted, w.log.from(slog.LevelInfo))
		}
		turns(1)
		if n := len(w.log.with(slog.LevelWarn, "does not give the list")); n != told+1 {
			w.Errorf("told %d times: the next one is news again", n-told)
		}
	})
}

func TestADiskThatIsFullByTurnsFillsNoLog(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		pass(time.Minute)
		for i := range 40 {
			w.breakFile(d)
			w.put("Arith", fmt.Sprintf("tcp@b%d:1", i), "")
			pass(15 * time.Second)
			w.mendFile(d)
			pass(time.Minute)
			if st := d.Status(); st.SaveErrors <= int64(i) || st.CacheErr != nil {
				w.Fatalf("%d: %+v", i, st)
			}
		}
		pass(time.Hour)
		lines := w.log.with(slog.LevelInfo, "cache file")
		if most := 2 * (logs.Limit + 4); len(lines) > most { // failures and successes
			w.Errorf("%d lines: %q", len(lines), lines)
		}
		if last := lines[len(lines)-1]; !strings.Contains(last, "written again") || !strings.Contains(last, "withheld=") {
			w.Errorf("the last line does not say how things are: %s", last)
		}
	})
}

// A lock recipe below the service's path makes and removes a child each time.
func TestChildrenThatAreNoInstancesAreToldAFewTimes(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith", WithoutWireExtension())
		for i := range 100 {
			w.put("Arith", fmt.Sprintf("lock-%d", i), "")
			pass(time.Second)
			if st := d.Status(); st.Skipped != 1 {
				w.Fatalf("%d skipped", st.Skipped)
			}
			w.remove("Arith", fmt.Sprintf("lock-%d", i))
			pass(time.Second)
		}
		if lines := w.log.with(slog.LevelInfo, "skipping children"); len(lines) != logs.Limit+1 {
			w.Errorf("%q", lines)
		}
	})
}

func TestAHookThatPanicsIsToldAFewTimes(t *testing.T) {
	inBubble(t, func(w *world) {
		d := w.discover("Arith", WithObserver(Observer{Published: func(Published) { panic("mine") }}))
		for i := range 50 {
			w.put("Arith", fmt.Sprintf("tcp@a%d:1", i), "")
			pass(time.Second)
		}
		if st := d.Status(); st.Instances != 50 {
			w.Errorf("%v", st)
		}
		if all, told := w.log.with(slog.LevelDebug, "hook panicked", "mine"), w.log.with(slog.LevelError, "hook panicked"); len(told) != logs.Limit || len(all) < 50 {
			w.Errorf("reported %d times, told %q", len(all), told)
		}
	})
}

func uncached(w *world) *Discovery {
	w.Helper()
	d, err := NewTemplate("/rpcx", []string{"zk:2181"}, WithDialer(w.zk.Dial), WithoutCache(), WithLogger(slog.New(w.log)), probesAnswer())
	w.do(err)
	w.Cleanup(d.Close)
	return d
}

// manyClones returns clones of n services, which are watched.
func manyClones(w *world, d *Discovery, n int) (clones []*Discovery) {
	w.Helper()
	for i := range n {
		c := w.clone(d, fmt.Sprintf("S%d", i))
		c.WatchService()
		clones = append(clones, c)
	}
	return clones
}

// O6: with hundreds of services on one connection each outage wrote two lines for each of them.
func TestAnOutageOfManyServicesIsAHandfulOfLines(t *testing.T) {
	inBubble(t, func(w *world) {
		const services = 200
		for i := range services {
			w.put(fmt.Sprintf("S%d", i), "tcp@a:1", "")
		}
		clones := manyClones(w, uncached(w), services)
		pass(time.Minute)
		outage := func() {
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
			if most := 4 + 2*(logs.Limit+1); len(lines) > most || len(lines) < 4 {
				w.Errorf("%d lines: %q", len(lines), lines)
			}
		}
		outage()
		outage()
		if n := len(w.log.with(slog.LevelDebug, "cannot be asked")); n < 2*services {
			w.Errorf("%d lines at Debug", n)
		}
		if n := len(w.log.with(slog.LevelWarn, "cannot be asked", fmt.Sprint("withheld=", services-logs.Limit))); n != 2 {
			w.Errorf("%d outages say of how many services they are", n)
		}
	})
}

// V2: 500 services with one odd child each wrote 1,000 warnings.
func TestWhatIsOddInHundredsOfServicesIsAHandfulOfLines(t *testing.T) {
	inBubble(t, func(w *world) {
		const services = 500
		for i := range services {
			w.put(fmt.Sprintf("S%d", i), "tcp@a:1", "%zz") // no URL query
			w.put(fmt.Sprintf("S%d", i), "lock-0001", "")  // no instance
		}
		manyClones(w, uncached(w), services)
		pass(10 * time.Minute)
		for _, msg := range []string{"metadata is not a URL query", "skipping children"} {
			lines := w.log.with(slog.LevelWarn, msg)
			if len(lines) != logs.Limit+1 || !strings.Contains(lines[logs.Limit], fmt.Sprint("withheld=", services-logs.Limit)) {
				w.Errorf("%d lines: %q", len(lines), lines)
			}
		}
	})
}

// V2: a clone that is used every two minutes wrote 90 lines an hour.
func TestAServiceThatIsTakenUpAgainFillsNoLog(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("A", "tcp@a:1", "%zz")
		w.put("A", "lock-0001", "")
		c := w.clone(w.template(), "A")
		const hours = 4
		for range hours * 30 {
			pass(2 * time.Minute)
			c.GetServices()
		}
		if live, all := len(w.log.with(slog.LevelInfo, "list is live")), len(w.log.with(slog.LevelDebug, "list is live")); live != 1 || all < 100 {
			w.Errorf("told %d times of %d that the list is live", live, all)
		}
		if lines := w.log.from(slog.LevelWarn); len(lines) > 2*(logs.Limit+3+hours) {
			w.Errorf("%d lines in %d hours: %q", len(lines), hours, lines)
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
		if n := len(w.log.with(slog.LevelWarn, "anybody may write", "service=/rpcx/S")); n != logs.Limit {
			w.Errorf("%d services have told", n)
		}
		if n := len(w.log.with(slog.LevelDebug, "anybody may write")); n != services {
			w.Errorf("%d lines in all", n)
		}
		pass(logs.Calm)
		w.clone(d, "later")
		pass(time.Second)
		if n := len(w.log.with(slog.LevelWarn, "anybody may write", "service=/rpcx/later")); n != 1 {
			w.Errorf("told %d times the next time", n)
		}
	})
}
