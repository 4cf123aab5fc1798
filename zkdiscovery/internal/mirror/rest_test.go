package mirror

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

func TestALookAtRestFindsWhatNoWatchHasTold(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*state)
		mended int
	}{
		{"nothing", func(*state) {}, 0},
		{"an instance more", func(s *state) { s.create("tcp@c:1", "weight=1") }, 1},
		{"an instance less", func(s *state) { s.remove("tcp@b:1") }, 2}, // the path tells, and so does its data
		{"other metadata", func(s *state) { s.set("tcp@a:1", "weight=2") }, 1},
		{"the path made anew", func(s *state) { s.removePath(); s.create("tcp@a:1", "weight=1"); s.create("tcp@b:1", "weight=1") }, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
			r.zk.loseWatches()
			r.change(tc.change)
			r.told()
			if j, _ := r.m.Todo(r.zk.now); j.Kind != None {
				t.Fatalf("job %+v, although nobody was told", j)
			}
			r.lossy = true
			r.zk.now = r.m.plan.checkAt
			r.ask(Check)
			for r.zk.serve() || r.zk.deliver() {
			}
			j := r.zk.job
			r.zk.job = nil
			r.m.Checked(j.Job, j.stat, j.nodes)
			if got := r.m.news.Mended; got != tc.mended {
				t.Errorf("mended %d, want %d", got, tc.mended)
			}
			if r.m.TakeNews().Changed {
				r.publish()
			}
			if tc.mended > 0 && !r.m.plan.rearm {
				t.Error("the watches are not set again")
			}
			r.settle()
			r.equal()
			if r.m.plan.rearm {
				t.Error("the watches are set again and again")
			}
			r.lossy = false
			if tc.mended > 0 { // then all watches are back
				r.change(func(s *state) { s.set("tcp@a:1", "weight=9"); s.create("tcp@e:1", "") })
				r.settle()
				r.equal()
			}
		})
	}
}

func TestLooksAtRestBecomeRarerUntilSomethingChanges(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	next := func() time.Duration {
		t.Helper()
		j, wake := r.m.Todo(r.zk.now)
		if j.Kind != None || !wake.Equal(r.m.plan.checkAt) {
			t.Fatalf("job %+v, wake %v, next look %v", j, wake, r.m.plan.checkAt)
		}
		return wake.Sub(r.zk.now)
	}
	want := firstCheck
	for range 10 {
		if got := next(); got > want*11/10 || got < want*8/10 { // the time that the list took counts
			t.Errorf("next look in %v, want %v", got, want)
		}
		r.zk.now = r.m.plan.checkAt
		r.settle()
		want = min(2*want, lastCheck)
	}
	r.change(func(s *state) { s.create("tcp@b:1", "") })
	r.settle()
	if got := next(); got > firstCheck*11/10 {
		t.Errorf("next look in %v after a change, want %v", got, firstCheck)
	}
	looks := func() (n int) {
		for _, line := range r.log {
			if strings.Contains(line, fmt.Sprintf("Kind:%v", Check)) {
				n++
			}
		}
		return n
	}
	before := looks()
	for range 60 {
		r.zk.now = r.zk.now.Add(time.Second)
		r.change(func(s *state) { s.remove("tcp@b:1"); s.create("tcp@b:1", "") })
		r.settle()
	}
	if looks() == before {
		t.Error("constant change puts every look off")
	}
}

func TestALookAtRestReadsAFewInstancesOnly(t *testing.T) {
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("tcp@h%03d:1", i))
	}
	r := liveRig(t, true)
	r.change(func(s *state) {
		for _, name := range names {
			s.create(name, "")
		}
	})
	r.m = New(true)
	for r.zk.advance() || r.zk.deliver() {
	}
	r.ask(List)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.m.Listed(r.zk.job.Job, r.zk.job.listing)
	r.zk.job = nil
	r.ask(Read)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.m.Read(r.zk.job.Job, r.zk.job.nodes, false)
	r.zk.job = nil
	r.zk.now = r.m.plan.checkAt
	if j := r.ask(Check); len(j.Names) != checkSize {
		t.Errorf("%d instances are read again, want %d", len(j.Names), checkSize)
	}
	// Of whom may not be read no watch tells, so that they come on top of the others.
	for _, name := range names[:20] {
		if names := r.m.sample(); len(names) > 2*checkSize {
			t.Errorf("%d instances are read again", len(names))
		}
		r.m.children[name].denied = true
		if i := slices.Index(names, name); i < checkSize && !slices.Contains(r.m.sample(), name) {
			t.Errorf("%s may not be read, and is not looked at", name)
		}
	}
}

func TestTheListIsConfirmedByListsReadsLooksAndPings(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	asOf := func(want time.Time, when string) {
		t.Helper()
		if got := r.m.whole.AsOf; !got.Equal(want) {
			t.Errorf("%s: confirmed as of %v, want %v", when, got, want)
		}
	}
	r.zk.now = r.zk.now.Add(time.Second)
	pinged := r.zk.now
	r.zk.ping()
	r.zk.now = r.zk.now.Add(time.Second)
	r.told()
	asOf(pinged, "after a ping that was answered")

	r.zk.now = r.m.plan.checkAt
	looked := r.ask(Check)
	r.served()
	asOf(looked.Asked, "after a look that found nothing")

	r.zk.now = r.m.plan.checkAt
	r.ask(Check)
	r.zk.now = r.zk.now.Add(time.Second)
	pinged = r.zk.now
	r.zk.ping()
	r.told()
	asOf(pinged, "after a ping that was answered during a look")
	r.served()
	asOf(pinged, "after that look, which had begun before")

	// The change was told before the ping was answered: until it has been read, the list is as old as before.
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.zk.advance()
	r.zk.now = r.zk.now.Add(time.Second)
	r.zk.ping()
	r.told()
	asOf(pinged, "with a change to be read")
	r.zk.now = r.zk.now.Add(time.Second)
	read := r.ask(Read)
	r.served()
	asOf(read.Asked, "after the read")
	r.zk.now = r.zk.now.Add(time.Second)
	pinged = r.zk.now
	r.zk.ping()
	r.told()
	asOf(pinged, "after another ping")

	r.zk.cut(session.ErrLost)
	r.zk.now = r.zk.now.Add(time.Hour)
	r.told()
	asOf(pinged, "without a connection")

	// A new connection has come before anybody looked, and what has changed meanwhile is still on its way.
	r.zk.connect(0)
	r.settle()
	r.zk.cut(session.ErrLost)
	r.change(func(s *state) { s.set("tcp@a:1", "weight=3") })
	r.zk.now = r.zk.now.Add(time.Second)
	r.zk.connect(0)
	listed := r.m.whole.AsOf
	r.look()
	asOf(listed, "over a connection that has listed nothing yet")

	r = lastingRig(t, "tcp@a:1")
	r.zk.now = r.zk.now.Add(time.Minute)
	r.change(func(s *state) { s.create("tcp@b:1", "") })
	r.told()
	read = r.ask(Read)
	r.served()
	asOf(read.Asked, "after a read of a child and the path")
}

// It is shown until a list confirms that it has gone, and as it was before that list: it had changed by then.
func TestAnInstanceThatVanishedBeforeItWasReadIsConfirmedByNothing(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	was := r.m.whole.AsOf
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2"); s.create("tcp@b:1", "weight=1") })
	r.told()
	r.ask(List)
	r.served()
	r.ask(Read)
	r.change(func(s *state) { s.remove("tcp@a:1") })
	r.zk.advance()
	r.served()
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	if got := r.m.whole.AsOf; !got.Equal(was) {
		t.Errorf("confirmed as of %v, want %v as before", got, was)
	}
}
