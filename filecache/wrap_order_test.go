package filecache

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// In which order the changes of a source arrive, and which list stays.

// obeying runs a test of a wrapped discovery without the guard. What make returns is wrapped.
func obeying[D client.ServiceDiscovery](t *testing.T, make func() D, test func(t *testing.T, d D, w client.ServiceDiscovery)) {
	t.Helper()
	dir := t.TempDir()
	bubbles.Test(t, func(t *testing.T) {
		d := make()
		w := mustWrap(t, d, dir, WithPollingOnly(), WithoutGuard())
		defer synctest.Wait()
		defer w.Close()
		synctest.Wait()
		test(t, d, w)
	})
}

func ofA() *source { return newSource("tcp@a:1") }

// inTheWrongOrder makes two changes arrive swapped: the source lists what later has.
func (s *source) inTheWrongOrder(earlier, later string) {
	s.say(later)
	s.updates <- pairs(earlier)
}

// rpcx's own discoveries send each change on a goroutine of its own.
func TestOfTwoChangesInARowTheLaterStays(t *testing.T) {
	obeying(t, func() *client.MultipleServersDiscovery {
		d, _ := client.NewMultipleServersDiscovery(pairs("tcp@a:1")) // which has no errors
		return d
	}, func(t *testing.T, d *client.MultipleServersDiscovery, w client.ServiceDiscovery) {
		flap := [][]string{{"tcp@a:1", "tcp@b:1"}, {"tcp@a:1"}}
		for i := range 20 {
			first, second := flap[i%2], flap[(i+1)%2]
			d.Update(pairs(first...))
			d.Update(pairs(second...))
			pass(2 * saveGap)
			wantKeys(t, w.GetServices(), second...)
			wantKeys(t, listOf(saved(t, w)), second...)
		}
	})
}

func TestTheSourceIsAskedOnlyWhatTheOrderOfItsListsWas(t *testing.T) {
	obeying(t, ofA, func(t *testing.T, s *source, w client.ServiceDiscovery) {
		for _, key := range []string{"tcp@b:1", "tcp@c:1", "tcp@d:1"} {
			s.say(key) // alone, but that it is said again
			s.say(key)
			pass(quiet)
			wantKeys(t, w.GetServices(), key)
		}
		if s.gets != 1 {
			t.Errorf("asked %d times, want once, at the beginning", s.gets)
		}
		s.inTheWrongOrder("tcp@e:1", "tcp@f:1")
		pass(time.Hour)
		wantKeys(t, w.GetServices(), "tcp@f:1")
		if s.gets != 2 {
			t.Errorf("asked %d times, want once more", s.gets)
		}
	})
}

func TestAListThatHasNotComeByTheChannelIsNotTaken(t *testing.T) {
	obeying(t, ofA, func(t *testing.T, s *source, w client.ServiceDiscovery) {
		s.updates <- pairs("tcp@b:1") // while it lists a for ever
		s.updates <- pairs("tcp@c:1")
		pass(time.Hour)
		wantKeys(t, w.GetServices(), "tcp@c:1")
		if s.gets != 2 {
			t.Errorf("asked %d times, want once after the two", s.gets)
		}
	})
}

// A source that does not answer is asked once, and what it says meanwhile counts. An answer that may be older than that is none.
func TestAnAnswerThatIsOvertakenByAListDoesNotCount(t *testing.T) {
	obeying(t, func() *silentSource {
		s := &silentSource{ofA(), make(chan struct{}, 1)}
		s.answer <- struct{}{}
		return s
	}, func(t *testing.T, s *silentSource, w client.ServiceDiscovery) {
		s.inTheWrongOrder("tcp@b:1", "tcp@c:1")
		pass(time.Minute)
		s.updates <- pairs("tcp@d:1") // its list still has c
		pass(time.Minute)
		s.answer <- struct{}{}
		synctest.Wait()
		wantKeys(t, w.GetServices(), "tcp@d:1")
		pass(time.Minute) // asked again, which it does not answer
		s.say("tcp@e:1")
		pass(time.Minute)
		wantKeys(t, w.GetServices(), "tcp@e:1")
		if s.gets != 2 {
			t.Errorf("%d answers of 2", s.gets)
		}
		if took := closing(w); took != silentEnd {
			t.Errorf("Close has taken %v, want %v", took, silentEnd)
		}
		close(s.answer)
	})
}

// One that says a new list all the time has no quiet, and does not fill the memory.
func TestOfManyListsInARowOnlyTheNewestAreRemembered(t *testing.T) {
	obeying(t, ofA, func(t *testing.T, s *source, w client.ServiceDiscovery) {
		for i := range 1000 {
			s.say(named(i + 1)[i])
			pass(quiet / 2)
		}
		if s.gets != 1 {
			t.Errorf("asked %d times while it goes on", s.gets)
		}
		s.inTheWrongOrder("tcp@b:1", "tcp@c:1")
		pass(time.Minute)
		wantKeys(t, w.GetServices(), "tcp@c:1")
	})
}

func TestTheOrderRemembersBoundedlyMany(t *testing.T) {
	var o order
	for i := range 1000 {
		o.came(pairs(named(i + 1)[i]), noon)
	}
	if n := len(o.lists); n != mostInARow {
		t.Errorf("%d lists are remembered, want %d", n, mostInARow)
	}
}
