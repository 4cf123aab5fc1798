package mirror

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

func TestADeletionIsBelievedAfterTheNextList(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) { s.remove("tcp@a:1") })
	r.told()
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	r.ask(List)
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	r.served()
	r.mustShow("tcp@b:1 weight=1")
}

func TestATakeoverInOneTransactionIsNoFlap(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) { s.remove("tcp@a:1"); s.create("tcp@a:1", "weight=2") })
	r.settle()
	r.mustShow("tcp@a:1 weight=2", "tcp@b:1 weight=1")
	for _, p := range r.published {
		if len(p.Pairs) != 2 {
			t.Fatalf("published in between: %v", p.copy)
		}
	}
	r.change(func(s *state) { s.set("tcp@a:1", "weight=3") })
	r.settle()
	r.mustShow("tcp@a:1 weight=3", "tcp@b:1 weight=1") // the successor is watched as its predecessor was
}

func TestAnAnswerFromAnEarlierSessionDoesNotCount(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
	r.told()
	j := r.ask(List)
	for r.zk.serve() || r.zk.deliver() {
	}
	answer := r.zk.job.listing
	r.zk.job = nil
	r.zk.expire()
	r.zk.connect(0)
	r.look()
	r.m.Listed(j, answer)
	r.mustShow("tcp@a:1 weight=1")
	if next := r.ask(List); !next.Sync || next.session != 2 {
		t.Errorf("the next job is %+v, want a list after a sync in the new session", next)
	}
	r.settle()
	r.equal()
}

func TestAListFromAnEarlierConnectionDoesNotCount(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.remove("tcp@a:1") })
	r.told()
	r.ask(List)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.zk.cut(session.ErrLost)
	r.zk.connect(0)
	r.served()
	r.mustShow("tcp@a:1 weight=1")
	if r.m.Phase() != Stale {
		t.Errorf("phase %d after an answer of the connection before, want stale", r.m.Phase())
	}
	r.settle()
	r.mustShow()
	if r.m.Phase() != Live {
		t.Error("not live after a list over the new connection")
	}
}

// ZooKeeper said so before the connection was lost, and nothing newer has been said.
func TestAListThatWasAnsweredBeforeTheDisconnectCounts(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.remove("tcp@a:1") })
	r.told()
	r.ask(List)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.zk.cut(session.ErrLost)
	r.served()
	r.mustShow()
	if r.m.Phase() != Stale {
		t.Errorf("phase %d without a connection, want stale", r.m.Phase())
	}
}

func TestTheFirstListOfASessionFollowsASyncAndNoOther(t *testing.T) {
	r := newRig(t, true)
	r.zk.connect(0)
	if j := r.ask(List); !j.Sync {
		t.Error("the first list of all does not follow a sync")
	}
	r.settle()
	r.zk.cut(session.ErrLost)
	r.zk.connect(0)
	if j := r.ask(List); j.Sync {
		t.Error("a list in the same session follows a sync")
	}
	r.settle()
	r.zk.expire()
	r.zk.connect(0)
	if j := r.ask(List); !j.Sync {
		t.Error("the first list of the second session does not follow a sync")
	}
}

func TestAListIsShownWhenItIsWhole(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) {
		s.remove("tcp@a:1")
		s.remove("tcp@b:1")
		s.create("tcp@c:1", "weight=1")
	})
	r.told()
	r.ask(List)
	r.served()
	// The list is answered, its new instance not read yet: what was whole stays, also through the loss of the connection.
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	r.ask(Read)
	r.zk.cut(session.ErrLost)
	r.look()
	r.served()
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	r.zk.connect(0)
	r.settle()
	r.mustShow("tcp@c:1 weight=1")
}

func TestConstantChangeStarvesNobody(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	began := len(r.published)
	for i := range 200 {
		// A change of the list before every single step: every list finds another one waiting.
		name := rigNames[1+i%3]
		r.change(func(s *state) { s.remove(name); s.create(name, fmt.Sprintf("weight=%d&calls=%d", i%4, i%3)) })
		if i%2 == 0 {
			r.change(func(s *state) { s.remove(rigNames[4]) })
		} else {
			r.change(func(s *state) { s.create(rigNames[4], "weight=1") })
		}
		r.told()
		r.turn(true)
		for r.zk.serve() || r.zk.deliver() {
		}
	}
	if n := len(r.published) - began; n < 60 {
		t.Errorf("%d lists published in 200 turns of constant change", n)
	}
	r.settle()
	r.equal()
}

// What was still to be read in the session before may be long gone.
func TestANewConnectionBeginsWithAList(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
	r.told()
	r.ask(List)
	r.served()
	r.zk.expire()
	r.zk.connect(0)
	r.look()
	r.ask(List)
	r.settle()
	r.equal()
}

// Such an instance would be asked for in vain after every list, which would so never be whole.
func TestAnInstanceThatWasListedButNeverReadIsForgottenWithTheNextList(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
	r.told()
	r.ask(List)
	r.served()
	r.ask(Read)
	r.zk.cut(session.ErrLost)
	r.served()
	r.change(func(s *state) { s.remove("tcp@b:1") })
	r.zk.connect(0)
	r.told()
	r.ask(List)
	r.served()
	if j := r.ask(Read); len(j.Names) != 1 || j.Names[0] != "tcp@a:1" {
		t.Errorf("job %+v, want the read of the newest that is known", j)
	}
	if r.served(); r.m.Phase() != Live {
		t.Errorf("phase %d, want a whole list", r.m.Phase())
	}
	r.mustShow("tcp@a:1 weight=1")
}

func TestOneJobAtATime(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "") })
	r.told()
	j := r.ask(List)
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.told()
	if next, wake := r.m.Todo(r.zk.now.Add(time.Hour)); next.Kind != None || !wake.IsZero() {
		t.Errorf("job %+v while %+v is under way, wake %v", next, j, wake)
	}
}

func TestSilenceIsNoNews(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	published := len(r.published)
	for range 100 {
		r.zk.cut(session.ErrLost)
		r.zk.now = r.zk.now.Add(time.Hour)
		r.turn(true)
		r.zk.connect(0)
		r.look()
		r.zk.expire()
		r.turn(true)
	}
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	if n := len(r.published) - published; n > 0 || r.m.Phase() != Stale {
		t.Errorf("%d lists published, phase %d", n, r.m.Phase())
	}
}

func TestAServiceThatIsNotRegisteredIsAnEmptyList(t *testing.T) {
	r := newRig(t, true)
	r.zk.connect(0)
	r.settle()
	r.mustShow()
	if r.m.Phase() != Live || r.m.Err() != nil || r.m.Whole().Exists {
		t.Errorf("phase %d, error %v, %+v", r.m.Phase(), r.m.Err(), r.m.Whole())
	}
	r.change(func(s *state) { s.create("tcp@a:1", "weight=1"); s.create("lock", "") })
	r.settle()
	r.mustShow("tcp@a:1 weight=1")
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2"); s.removePath() })
	r.told()
	r.ask(List)
	r.served()
	r.mustShow()
	if j, _ := r.m.Todo(r.zk.now); j.Kind != None || r.m.pass.skipped > 0 {
		t.Errorf("job %+v, %d skipped; want nothing left of the path", j, r.m.pass.skipped)
	}
}

func TestChildrenThatAreNoInstancesAreSkippedAndCounted(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "lock-0001", "readme")
	r.mustShow("tcp@a:1 weight=1")
	if r.m.pass.skipped != 2 || r.m.pass.odd == "" {
		t.Errorf("skipped %d, one of them %q; want 2 and a name", r.m.pass.skipped, r.m.pass.odd)
	}
	r.change(func(s *state) { s.remove("readme") })
	r.settle()
	if r.m.pass.skipped != 1 {
		t.Errorf("skipped %d after one is gone, want 1", r.m.pass.skipped)
	}
}

func TestHintsSayWhatIsToBeAsked(t *testing.T) {
	for _, tc := range []struct {
		name  string
		hints session.Hints
		want  Kind
		reads []string
	}{
		{"the list may have changed", session.Hints{List: true}, List, nil},
		{"an instance may have changed", session.Hints{Children: map[string]session.Change{"tcp@a:1": session.Changed}}, Read, []string{"tcp@a:1"}},
		{"an instance may be gone, of which the list will tell", session.Hints{List: true, Children: map[string]session.Change{"tcp@a:1": session.Gone}}, List, nil},
		{"an instance may be gone", session.Hints{Children: map[string]session.Change{"tcp@a:1": session.Gone}}, Read, []string{"tcp@a:1"}},
		{"nobody we know", session.Hints{Children: map[string]session.Change{"tcp@x:1": session.Changed}}, None, nil},
		{"nothing", session.Hints{}, None, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
			r.m.Hinted(tc.hints, r.zk.now)
			if j, _ := r.m.Todo(r.zk.now); j.Kind != tc.want || !slices.Equal(j.Names, tc.reads) {
				t.Errorf("job %+v, want kind %d of %v", j, tc.want, tc.reads)
			}
		})
	}
}

func TestAnErrorIsKeptUntilAWholePassHasSucceeded(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	throttled := errors.New("throttled")
	var waits []time.Duration
	for range 8 {
		r.change(func(s *state) { s.create("tcp@b:1", ""); s.set("tcp@b:1", "weight=1") })
		r.told()
		if r.m.plan.list {
			r.zk.now = later(r.zk.now, r.m.plan.retryAt)
			r.ask(List)
			r.served()
		}
		// The list is answered, the read is not: the next list must not be a new beginning.
		r.ask(Read)
		r.zk.job.finish(throttled)
		r.served()
		if !errors.Is(r.m.Err(), throttled) || r.m.Phase() != Stale {
			t.Fatalf("error %v, phase %d", r.m.Err(), r.m.Phase())
		}
		waits = append(waits, r.m.plan.retryAt.Sub(r.zk.now))
	}
	for i, want := range []time.Duration{1, 2, 4, 5, 5, 5, 5, 5} {
		if want *= time.Second; waits[i] < want*9/10 || waits[i] > want*11/10 {
			t.Errorf("waited %v, want %v, give or take a tenth", waits, want)
		}
	}
	r.settle()
	r.equal()
	if r.m.Err() != nil {
		t.Errorf("error %v after a whole pass", r.m.Err())
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func TestANewConnectionIsAskedAtOnceUnlessAnAnswerOverTheLimitCostTheLast(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	for _, tc := range []struct {
		err  error
		last time.Duration // the longest wait
		wait bool
	}{
		{session.ErrNoAuth, lastRetry, false},
		{fmt.Errorf("%w: %w", session.ErrLost, session.ErrReplyTooLarge), lastCostly, true},
	} {
		for range 10 {
			r.m.Refused(Job{Kind: List, session: 1}, tc.err, r.zk.now)
		}
		if wait := r.m.plan.retryAt.Sub(r.zk.now); wait < tc.last*9/10 || wait > tc.last*11/10 {
			t.Errorf("%v: waits %v at last, want %v, give or take a tenth", tc.err, wait, tc.last)
		}
		until := r.m.plan.retryAt
		r.zk.cut(session.ErrLost)
		r.zk.connect(0)
		r.look()
		if tc.wait && !r.m.plan.retryAt.Equal(until) {
			t.Errorf("%v: a connection that ends for another reason makes the wait longer, until %v instead of %v", tc.err, r.m.plan.retryAt, until)
		}
		if waits := r.zk.now.Before(r.m.plan.retryAt); waits != tc.wait {
			t.Errorf("%v: the new connection waits: %v, want %v", tc.err, waits, tc.wait)
		}
		r.settle()
	}
}
