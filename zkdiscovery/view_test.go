package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/logs"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// alone is a Discovery without a service: its lists come from the test.
func alone(t *testing.T, opts ...Option) *Discovery {
	t.Helper()
	nobody := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody there") }
	d, err := NewTemplate("/rpcx", []string{"nobody:2181"}, append([]Option{WithDialer(nobody), WithoutCache(), probesAnswer()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// deliver is what the loop of a service does with a list.
func deliver(d *Discovery, l *list) { d.view.deliver(context.Background(), l) }

func pairsOf(value string, keys ...string) []*client.KVPair {
	pairs := make([]*client.KVPair, len(keys))
	for i, k := range keys {
		pairs[i] = &client.KVPair{Key: k, Value: value}
	}
	return pairs
}

func TestTheNewestListIsShownThroughTheNewestFilter(t *testing.T) {
	d := alone(t)
	names := make([]string, 20)
	for i := range names {
		names[i] = fmt.Sprintf("tcp@h%02d:1", i)
	}
	const rounds = 2_000
	ch := d.WatchService()
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := int64(1); n <= rounds; n++ {
			deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf(strconv.FormatInt(n, 10), names...), Generation: belief.Generation{Zxid: n}}, seq: n})
			if got := d.Snapshot().Zxid; got < n {
				t.Errorf("zxid %d is shown after %d was delivered", got, n)
			}
		}
	})
	wg.Go(func() {
		for i := range rounds {
			wanted := names[i%len(names)]
			d.SetFilter(func(p *client.KVPair) bool { return p.Key != wanted })
			if got := keys(d.GetServices()); strings.Contains(got, wanted) {
				t.Errorf("%s is listed although a filter hides it: %s", wanted, got)
			}
		}
	})
	wg.Go(func() {
		var last int64
		for last < rounds {
			l := <-ch
			n, _ := strconv.ParseInt(l[0].Value, 10, 64)
			if snap := d.Snapshot(); n < last || snap.Zxid < n {
				t.Errorf("list %d came after %d, Snapshot has %d", n, last, snap.Zxid)
			}
			last = n
		}
	})
	wg.Wait()
}

// What it has left of the list is outdated by the time it returns.
func TestAFilterThatIsReplacedWhileItRunsHasNoSay(t *testing.T) {
	d := alone(t)
	deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@a:1", "tcp@b:1")}, seq: 1})
	d.SetFilter(func(p *client.KVPair) bool {
		if p.Key == "tcp@a:1" {
			d.SetFilter(func(p *client.KVPair) bool { return p.Key == "tcp@b:1" })
		}
		return p.Key == "tcp@a:1"
	})
	if got := keys(d.GetServices()); got != "tcp@b:1" {
		t.Errorf("listed: %s, want what the newest filter keeps", got)
	}
}

func TestARevisionIsAPublishedChange(t *testing.T) {
	d := alone(t)
	ch := d.WatchService()
	steps := []struct {
		name     string
		do       func()
		revision int64
		sent     bool
	}{
		{"nothing yet", func() {}, 0, false},
		{"the first list, though empty", func() { deliver(d, &list{Shown: belief.Shown{Source: belief.File}, seq: 1}) }, 1, true},
		{"another source", func() { deliver(d, &list{Shown: belief.Shown{Source: belief.Stale}, seq: 2}) }, 1, false},
		{"an instance", func() {
			deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@a:1"), Source: belief.Stale}, seq: 3})
		}, 2, true},
		{"the same again", func() {
			deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@a:1"), Source: belief.Stale}, seq: 4})
		}, 2, false},
		{"an older one, late", func() { deliver(d, &list{Shown: belief.Shown{Source: belief.Stale}, seq: 3}) }, 2, false},
		{"a filter that hides nothing", func() { d.SetFilter(func(*client.KVPair) bool { return true }) }, 2, false},
		{"a filter that hides all", func() { d.SetFilter(func(*client.KVPair) bool { return false }) }, 3, true},
		{"a change that the filter hides", func() {
			deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("x", "tcp@a:1"), Source: belief.Stale}, seq: 5})
		}, 3, false},
		{"no filter", func() { d.SetFilter(nil) }, 4, true},
		{"a filter that changes its copy", func() { d.SetFilter(func(p *client.KVPair) bool { p.Key, p.Value = "", "y"; return true }) }, 4, false},
	}
	for _, s := range steps {
		s.do()
		sent := false
		select {
		case <-ch:
			sent = true
		default:
		}
		if got := d.Snapshot().Revision; got != s.revision || sent != s.sent {
			t.Errorf("%s: revision %d, sent %v; want %d, %v", s.name, got, sent, s.revision, s.sent)
		}
	}
}

func TestWhichListReplacesWhich(t *testing.T) {
	at := func(src Source, era, zxid, seq int64) *list {
		return &list{Shown: belief.Shown{Source: belief.Source(src), Generation: belief.Generation{Lineage: "a", Era: era, Zxid: zxid}}, service: 1, seq: seq}
	}
	later := func(l *list) *list { // of a service that was taken up again, whose lists are counted anew
		l.service, l.seq = 2, 1
		return l
	}
	asked := func(l *list) *list {
		l.Asked = time.Unix(60, 0)
		return l
	}
	for _, tc := range []struct {
		name string
		was  *list
		is   *list
		want bool
	}{
		{"the first", nil, at(File, 1, 1, 1), true},
		{"a later one", at(Live, 1, 5, 1), at(Live, 1, 5, 2), true},
		{"the same again", at(Live, 1, 5, 2), at(Live, 1, 5, 2), false},
		{"one that was overtaken on its way", at(Live, 1, 5, 2), at(Stale, 1, 5, 1), false},
		{"what ZooKeeper says after a backup", at(Live, 1, 5, 1), at(Live, 2, 3, 2), true},
		{"a file that is older than what ZooKeeper had said", at(Stale, 1, 5, 1), at(File, 1, 4, 2), false},
		{"a file of the same moment", at(Live, 1, 5, 1), at(File, 1, 5, 2), false},
		{"a sibling's newer file", at(Stale, 1, 5, 1), at(File, 1, 6, 2), true},
		{"a file of a later era", at(Stale, 1, 5, 1), at(File, 2, 3, 2), true},
		{"a file after a file", at(File, 1, 5, 1), at(File, 1, 4, 2), true},
		{"the file after an override", at(Override, 0, 0, 1), at(File, 1, 1, 2), true},
		{"the same list, taken up again", at(Live, 1, 5, 9), later(at(Live, 1, 5, 0)), true},
		{"what ZooKeeper says when taken up again", at(Stale, 3, 5, 9), later(at(Live, 1, 3, 0)), true},
		{"an older file, taken up again", at(Live, 1, 5, 9), later(at(File, 1, 4, 0)), false},
		{"a newer file, taken up again", at(Live, 1, 5, 9), later(at(File, 1, 6, 0)), true},
		{"a file from before a backup, confirmed before the list was asked for", asked(at(Stale, 1, 5, 9)), later(at(File, 1, 6, 0)), false},
		{"one of the service of before", later(at(Live, 1, 5, 0)), at(Live, 1, 6, 9), false},
		{"an override", at(Live, 1, 5, 1), at(Override, 0, 0, 2), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.was.isOlderThan(tc.is); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// Its loop was about to hand the list over when the clone was let go, and taken up again by a new service.
func TestAListOfAServiceThatWasLetGoIsNotTaken(t *testing.T) {
	d := alone(t)
	v := d.view
	v.take(1, nil, 0, time.Time{})
	deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@a:1"), Source: belief.Live}, service: 1, seq: 1})
	late := &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@b:1"), Source: belief.Live}, service: 1, seq: 2}
	if !v.letGo(time.Now().Add(2 * releaseIdle)) {
		t.Fatal("not let go")
	}
	deliver(d, late)
	v.take(2, nil, 0, time.Time{})
	deliver(d, late)
	if got := keys(d.GetServices()); got != "tcp@a:1" {
		t.Errorf("listed: %s", got)
	}
	up := session.State{Connected: true}
	if s, _ := v.source(up); s != Stale {
		t.Errorf("source %v before the new service has listed, want stale", s)
	}
	deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@a:1"), Source: belief.Live}, service: 2, seq: 1})
	if s, _ := v.source(up); s != Live {
		t.Errorf("source %v when it has, want live", s)
	}
}

func TestAFilterThatPanicsIsToldAFewTimesAndKeepsTheInstance(t *testing.T) {
	log := new(records)
	d := alone(t, WithLogger(slog.New(log)))
	deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@a:1", "tcp@b:1", "tcp@c:1")}, seq: 1})
	panics := func(p *client.KVPair) bool {
		if p.Key != "tcp@b:1" {
			panic("mistake in " + p.Key)
		}
		return false
	}
	reports := func() int {
		return len(log.with(slog.LevelError, "filter panicked", "service=/rpcx", "panic=mistake in tcp@"))
	}
	d.SetFilter(panics)
	for i := range int64(10) {
		deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf(strconv.FormatInt(i, 10), "tcp@a:1", "tcp@b:1", "tcp@c:1")}, seq: 2 + i})
	}
	if got := keys(d.GetServices()); got != "tcp@a:1,tcp@c:1" {
		t.Errorf("listed: %s; want what it panics over, and not what it hides", got)
	}
	if n := reports(); n != logs.Limit {
		t.Errorf("reported %d times: %q", n, log.from(slog.LevelError))
	}
}

func TestHeldNamesOnlyWhoIsListed(t *testing.T) {
	d := alone(t)
	d.SetFilter(func(p *client.KVPair) bool { return p.Key != "tcp@b:1" })
	deliver(d, &list{Shown: belief.Shown{Pairs: pairsOf("", "tcp@a:1", "tcp@b:1", "tcp@c:1"), Held: []string{"tcp@b:1", "tcp@c:1"}, Source: belief.Stale}, seq: 1})
	if got := d.Snapshot().Held; !slices.Equal(got, []string{"tcp@c:1"}) || d.Status().Held != 1 {
		t.Errorf("held: %v, Status has %d; want the one that the filter shows", got, d.Status().Held)
	}
}

func TestNothingIsDeliveredAfterClose(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		w.put("Arith", "tcp@b:1", "")
		d := w.template()
		c := w.clone(d, "Arith")
		ch := c.WatchService()
		<-ch
		d.Close()
		hidesAll := func(*client.KVPair) bool {
			t.Error("a filter is asked after Close")
			return false
		}
		for _, d := range []*Discovery{d, c} {
			d.SetFilter(hidesAll)
			deliver(d, &list{seq: 1 << 40})
		}
		select {
		case l := <-ch:
			t.Errorf("delivered after Close: %s", keys(l))
		default:
		}
		w.lists(c, "tcp@a:1,tcp@b:1")
		w.source(c, Stale)
		if err := c.WaitLive(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("WaitLive: %v, want ErrClosed", err)
		}
	})
}

func TestAClosedDiscoveryMakesInertClones(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template()
		closed := w.clone(d, "Arith")
		closed.Close()
		impossible := w.clone(d, "a//b")
		ofClosed := w.clone(closed, "Arith")
		for name, c := range map[string]*Discovery{"of a closed clone": ofClosed, "of an impossible name": impossible} {
			w.lists(c, "")
			w.source(c, None)
			if err := c.Status().LastErr; err == nil {
				t.Errorf("%s: Status does not say why it is inert", name)
			}
			if err := c.WaitLive(t.Context()); err == nil || errors.Is(err, ErrClosed) != (c == ofClosed) {
				t.Errorf("%s: WaitLive: %v", name, err)
			}
			c.RemoveWatcher(c.WatchService())
			c.Close()
		}
		w.lists(w.clone(d, "Arith"), "tcp@a:1") // the others live on
	})
}

// The service that is taken up again has only the file, which the disk did not take for a while.
func TestATakenUpCloneDoesNotGoBackToAnOlderFile(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.template()
		c := w.clone(d, "Arith")
		pass(3 * time.Second) // the file has one instance
		w.breakFile(c)
		w.put("Arith", "tcp@b:1", "")
		pass(time.Second)
		w.lists(c, "tcp@a:1,tcp@b:1")
		time.Sleep(2 * releaseIdle)
		pass(0)
		if isHeld(c) {
			t.Fatal("the clone has kept its service")
		}
		w.zk.Stop()
		w.lists(c, "tcp@a:1,tcp@b:1")
		pass(time.Minute)
		w.lists(c, "tcp@a:1,tcp@b:1")
		w.source(c, Stale)
	})
}
