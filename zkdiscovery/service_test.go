package zkdiscovery

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs"
)

func TestCallsAndConnectionsAloneAreDeliveredOnceASecond(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "weight=1&calls=0")
		d := w.discover("Arith")
		ch := d.WatchService()
		<-ch
		pass(time.Minute)
		set := func(value string) { w.do(w.zk.Set("/rpcx/Arith/tcp@a:1", []byte(value))) }
		var at []time.Duration
		began := time.Now()
		look := func() {
			select {
			case <-ch:
				at = append(at, time.Since(began).Round(time.Millisecond))
			default:
			}
		}
		for i := range 25 {
			set("weight=1&calls=" + strings.Repeat("1", i+1))
			pass(100 * time.Millisecond)
			look()
		}
		// The first was long after the one before, so it goes out at once.
		if len(at) != 3 || at[0] > 100*time.Millisecond || at[1] < time.Second || at[2]-at[1] < time.Second {
			t.Errorf("delivered after %v, want at once and then once a second", at)
		}
		pass(time.Minute)
		set("weight=3&calls=x")
		pass(time.Millisecond)
		<-ch
		set("weight=1&calls=x")
		pass(time.Millisecond)
		set("weight=1&calls=w") // on top of a change that waits for its turn
		pass(publishGap)
		if at = nil; len(ch) == 0 {
			t.Error("a change of weight waits because calls came after it")
		}
		look()
		at = nil
		set("weight=1&calls=x")
		pass(20 * time.Millisecond)
		look()
		if at != nil {
			t.Fatal("calls alone were delivered within the second")
		}
		set("weight=2&calls=x")
		pass(20 * time.Millisecond)
		if look(); at == nil {
			t.Error("a change of weight waits behind calls")
		}
		set("weight=2&calls=y")
		pass(20 * time.Millisecond)
		w.zk.Stop()
		pass(20 * time.Millisecond)
		if at = nil; len(ch) == 0 {
			t.Error("the loss of ZooKeeper waits behind calls")
		}
		w.source(d, Stale)
	})
}

// A server that says no at once is another matter than one that says nothing: it may be about to.
func TestTheFileServesAtOnceOnlyWhenEveryServerRefuses(t *testing.T) {
	const patience = time.Minute
	for name, tc := range map[string]struct {
		away func(w *world)
		want time.Duration
	}{
		"refused": {func(w *world) { w.zk.Stop() }, 0},
		"silent":  {func(w *world) { w.zk.Silence(true) }, patience},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.put("Arith", "tcp@a:1", "")
				w.discover("Arith").Close()
				tc.away(w)
				began := time.Now()
				d := w.discover("Arith", WithStartTimeout(patience))
				if took := time.Since(began); took < tc.want || took > tc.want+time.Second {
					t.Errorf("New has taken %v, want %v", took, tc.want)
				}
				w.source(d, File)
				w.lists(d, "tcp@a:1")
			})
		})
	}
}

func TestADaysOutageIsAHandfulOfLines(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith")
		pass(time.Minute)
		edges := func() []string { return w.log.from(slog.LevelInfo) }
		before := len(edges())
		w.zk.Stop()
		cut := time.Now()
		pass(24 * time.Hour)
		w.zk.Delay(time.Millisecond) // or the list is there in the very instant of the connection, and either line may be the first
		w.do(w.zk.Start())
		pass(time.Minute)
		w.source(d, Live)
		lines := edges()[before:]
		if len(lines) > 8 {
			t.Errorf("%d lines: %q", len(lines), lines)
		}
		keeps := w.log.with(slog.LevelWarn, "ZooKeeper cannot be asked, keeping the last list", "service=/rpcx/Arith", "instances=1",
			"since="+cut.Format("2006-01-02 15:04:05"), "confirmed=")
		if len(keeps) != 1 {
			t.Errorf("what is kept, of whom and since when, in %d lines: %q", len(keeps), lines)
		}
		if last := lines[len(lines)-1]; !strings.Contains(last, "list is live") || !strings.Contains(last, "service=/rpcx/Arith") {
			t.Errorf("the last line is %q, want that the list is live", last)
		}
	})
}

func TestAShortSilenceIsNoLinePerService(t *testing.T) {
	inBubble(t, func(w *world) {
		d := w.template()
		for _, name := range []string{"A", "B", "C"} {
			w.put(name, "tcp@a:1", "")
			w.clone(d, name).WatchService()
		}
		pass(time.Minute)
		before := len(w.log.with(slog.LevelInfo, "service="))
		for range 100 {
			w.zk.DropConnections()
			pass(3 * time.Second)
		}
		if lines := w.log.with(slog.LevelInfo, "service=")[before:]; len(lines) > 0 {
			t.Errorf("%d lines, such as %q", len(lines), lines[0])
		}
	})
}

func TestWhatRepeatsIsToldAFewTimesWithoutMetadata(t *testing.T) {
	inBubble(t, func(w *world) {
		w.discover("Arith")
		for i := range 50 {
			w.put("Arith", "tcp@a:1", "a=1;"+strings.Repeat("b", i))
			w.put("Arith", "lock-"+strings.Repeat("0", i+1), "")
			pass(time.Second)
		}
		for _, msg := range []string{"metadata is not a URL query", "skipping children"} {
			if lines := w.log.with(slog.LevelInfo, msg, "service=/rpcx/Arith"); len(lines) == 0 || len(lines) > logs.Limit {
				t.Errorf("%q in %d lines", msg, len(lines))
			}
		}
		for _, line := range w.log.from(slog.LevelDebug) {
			if strings.Contains(line, "a=1;") {
				t.Errorf("metadata in the log: %s", line)
			}
		}
	})
}

// A logger that blocks stands for a disk that hangs, on the keeper's goroutine.
func TestADiskThatHangsDelaysNeitherListsNorStatusNorCloseForLong(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "weight=1")
		d := w.discover("Arith")
		file := d.Status().CacheFile
		pass(3 * time.Second)
		d.Close()
		w.do(os.WriteFile(file, []byte("damaged"), 0o600))
		hung := make(chan struct{})
		w.log.holdWith(func(msg string) {
			if strings.HasPrefix(msg, "damaged file") {
				<-hung
			}
		})
		began := time.Now()
		d = w.discover("Arith")
		if took := time.Since(began); took > fileWait+100*time.Millisecond {
			t.Errorf("New has taken %v", took)
		}
		ch := d.WatchService()
		<-ch
		for i := range 5 {
			w.put("Arith", "tcp@a:1", "weight="+strings.Repeat("2", i+1))
			began := time.Now()
			<-ch
			if took := time.Since(began); took > 2*publishGap {
				t.Errorf("a change has taken %v", took)
			}
			_ = d.Status().String()
		}
		began = time.Now()
		d.Close()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Close has taken %v", took)
		}
		if lines := w.log.with(slog.LevelError, "does not answer", "service=/rpcx/Arith", w.dir); len(lines) != 1 {
			t.Errorf("reported: %q", lines)
		}
		close(hung)
		synctest.Wait() // the keeper has nobody left to tell, and ends
	})
}

// O3: New has the start timeout and two seconds, whatever the disk does.
func TestNewFailsInTimeThoughTheDiskHangs(t *testing.T) {
	for _, timeout := range []time.Duration{10 * time.Millisecond, time.Second, 3 * time.Second} {
		inBubble(t, func(w *world) {
			w.put("Arith", "tcp@a:1", "")
			d := w.discover("Arith")
			pass(3 * time.Second)
			d.Close()
			w.zk.Stop()
			w.do(os.WriteFile(d.Status().CacheFile, []byte("damaged"), 0o600))
			hung := make(chan struct{})
			w.log.holdWith(func(msg string) {
				if strings.HasPrefix(msg, "damaged file") {
					<-hung
				}
			})
			began := time.Now()
			_, err := New("/rpcx", "Arith", []string{"zk:2181"}, w.options(WithStartTimeout(timeout))...)
			wantError(w.T, err, ErrNoSnapshot, "not looked at in time")
			if took := time.Since(began); took > timeout+2*time.Second-fileWait { // so long New itself may look at the disk
				w.Errorf("start timeout %v: New fails after %v", timeout, took)
			}
			close(hung)
			synctest.Wait()
		})
	}
}
