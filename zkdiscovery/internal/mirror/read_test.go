package mirror

import (
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

func TestADeniedInstanceKeepsItsMetadata(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
	r.change(func(s *state) { s.deny("tcp@a:1", true) })
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.change(func(s *state) { s.create("tcp@c:1", "weight=7"); s.deny("tcp@c:1", true) })
	var denied []string
	for range 10 {
		r.told()
		r.turn(false)
		for r.zk.serve() || r.zk.deliver() {
		}
		if j := r.zk.job; j != nil {
			r.zk.job = nil
			r.look()
			if j.Kind == List {
				r.m.Listed(j.Job, j.listing)
			} else {
				r.m.Read(j.Job, j.nodes, false)
			}
			denied = append(denied, r.m.TakeNews().Denied...)
		}
	}
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1", "tcp@c:1 ")
	if slices.Sort(denied); !slices.Equal(denied, []string{"tcp@a:1", "tcp@c:1"}) {
		t.Errorf("reported as denied: %v, want each once", denied)
	}
	r.published = nil // the lists above went past publish
	r.zk.now = r.m.plan.checkAt
	j := r.ask(Check)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.m.Checked(j, r.zk.job.stat, r.zk.job.nodes)
	r.zk.job = nil
	if again := r.m.TakeNews().Denied; len(again) > 0 {
		t.Errorf("reported again: %v", again)
	}
	// Of permission nobody tells: the next look at rest finds it.
	r.change(func(s *state) { s.deny("tcp@a:1", false); s.deny("tcp@c:1", false) })
	r.listed = map[string]bool{"tcp@a:1": true, "tcp@b:1": true, "tcp@c:1": true}
	r.zk.now = r.zk.now.Add(time.Minute)
	r.settle()
	r.mustShow("tcp@a:1 weight=2", "tcp@b:1 weight=1", "tcp@c:1 weight=7")
}

// Without data watches a server that is replaced between two lists shows in nothing but the path's count of changes.
func TestWithoutDataWatchesASuccessorIsReadWhenTheCountOfChangesTells(t *testing.T) {
	r := liveRig(t, false, "tcp@a:1", "tcp@b:1")
	if n := len(r.zk.watching.data); n > 0 {
		t.Fatalf("%d data watches", n)
	}
	r.change(func(s *state) { s.remove("tcp@a:1"); s.create("tcp@a:1", "weight=2") })
	r.settle()
	r.mustShow("tcp@a:1 weight=2", "tcp@b:1 weight=1")

	// Two were listed, but the connection was lost before they were read: they make up for nothing that has happened since.
	r = liveRig(t, false, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "weight=1"); s.create("tcp@c:1", "weight=1") })
	r.told()
	r.ask(List)
	r.served()
	r.zk.cut(session.ErrLost)
	r.change(func(s *state) { s.remove("tcp@a:1"); s.create("tcp@a:1", "weight=2") })
	r.zk.connect(0)
	r.settle()
	r.mustShow("tcp@a:1 weight=2", "tcp@b:1 weight=1", "tcp@c:1 weight=1")

	// A path made anew counts from the beginning, and may have got just as far.
	if r = liveRig(t, false, "tcp@a:1", "tcp@b:1"); r.m.pass.cversion != 2 {
		t.Fatalf("cversion %d", r.m.pass.cversion)
	}
	r.change(func(s *state) { s.removePath(); s.create("tcp@a:1", "weight=2"); s.create("tcp@b:1", "weight=1") })
	if r.settle(); r.m.pass.cversion != 2 {
		t.Fatalf("cversion %d", r.m.pass.cversion)
	}
	r.mustShow("tcp@a:1 weight=2", "tcp@b:1 weight=1")

	before := r.zk.requests
	r.change(func(s *state) { s.create("tcp@c:1", "weight=1") })
	r.settle()
	if n := r.zk.requests - before; n != 2 {
		t.Errorf("%d requests for one instance more, want 2", n)
	}
}

func TestChangesOfNothingButCallsAndConnectionsAreMarked(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes []func(*state)
		metrics bool
		edits   int64
	}{
		{"calls", []func(*state){func(s *state) { s.set("tcp@a:1", "weight=1&calls=7") }}, true, 0},
		{"weight", []func(*state){func(s *state) { s.set("tcp@a:1", "weight=2") }}, false, 1},
		{"calls, then weight", []func(*state){
			func(s *state) { s.set("tcp@a:1", "weight=1&calls=7") }, func(s *state) { s.set("tcp@a:1", "weight=2&calls=7") },
		}, false, 1},
		{"weight, then calls", []func(*state){
			func(s *state) { s.set("tcp@a:1", "weight=2") }, func(s *state) { s.set("tcp@a:1", "weight=2&calls=7") },
		}, false, 1},
		{"calls of one, weight of another", []func(*state){func(s *state) {
			s.set("tcp@a:1", "weight=1&calls=7")
			s.set("tcp@b:1", "weight=2")
		}}, false, 1},
		{"an instance more", []func(*state){func(s *state) { s.create("tcp@c:1", "calls=1") }}, false, 1},
		{"the same data written again", []func(*state){func(s *state) { s.set("tcp@a:1", "weight=1") }}, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := liveRig(t, true, "tcp@a:1", "tcp@b:1")
			edits := r.m.whole.Edits
			var news News
			for _, change := range tc.changes {
				r.change(change)
				r.told()
				for range 3 {
					j, _ := r.m.Todo(r.zk.now)
					if j.Kind == None {
						break
					}
					r.zk.begin(j, true)
					for r.zk.serve() || r.zk.deliver() {
					}
					if j.Kind == List {
						r.m.Listed(j, r.zk.job.listing)
					} else {
						r.m.Read(j, r.zk.job.nodes, false)
					}
					r.zk.job = nil
				}
			}
			news = r.m.TakeNews()
			if news.Changed && news.OnlyMetrics != tc.metrics {
				t.Errorf("only metrics: %v, want %v", news.OnlyMetrics, tc.metrics)
			}
			if got := r.m.whole.Edits - edits; got != tc.edits {
				t.Errorf("%d edits, want %d", got, tc.edits)
			}
		})
	}
}

func TestMetadataThatIsNoQueryIsReported(t *testing.T) {
	r := newRig(t, true)
	r.zk.txn(func(s *state) { s.create("tcp@a:1", "weight=1;group=x"); s.create("tcp@b:1", "weight=1") })
	r.noteValues()
	r.zk.connect(0)
	r.ask(List)
	r.served()
	r.ask(Read)
	for r.zk.serve() || r.zk.deliver() {
	}
	r.m.Read(r.zk.job.Job, r.zk.job.nodes, false)
	if bad := r.m.TakeNews().BadMetadata; !slices.Equal(bad, []string{"tcp@a:1"}) {
		t.Errorf("reported: %v", bad)
	}
	r.mustShow("tcp@a:1 weight=1;group=x", "tcp@b:1 weight=1")
}

// The read of a changed instance found it gone, the list that was to confirm it found its successor, and nobody read or watched that.
func TestAnInstanceThatComesBackBetweenReadAndListIsReadAgain(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.told()
	r.ask(Read)
	r.change(func(s *state) { s.remove("tcp@a:1") })
	r.zk.advance()
	r.served()
	r.mustShow("tcp@a:1 weight=1")
	r.change(func(s *state) { s.create("tcp@a:1", "weight=3") })
	r.settle()
	r.mustShow("tcp@a:1 weight=3")
	r.equal()
}

func TestAnInstanceThatVanishedWhileBeingReadIsNoError(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "weight=1"); s.create("tcp@c:1", "weight=1") })
	r.told()
	r.ask(List)
	r.served()
	r.ask(Read)
	r.change(func(s *state) { s.remove("tcp@b:1") })
	r.zk.advance()
	r.served()
	r.mustShow("tcp@a:1 weight=1") // they may have come in one transaction, and be going in another
	if r.m.Err() != nil || r.m.Phase() != Live {
		t.Errorf("error %v, phase %d", r.m.Err(), r.m.Phase())
	}
	r.settle()
	r.mustShow("tcp@a:1 weight=1", "tcp@c:1 weight=1")
	r.equal()
}

func TestInstancesThatComeAndGoAllTheTimeDoNotHoldUpTheOthers(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@c:1", "weight=1") })
	for range maxTorn + 1 {
		r.mustShow("tcp@a:1 weight=1")
		r.change(func(s *state) { s.create("tcp@b:1", "weight=1") })
		r.told()
		r.ask(List)
		r.served()
		r.ask(Read)
		r.change(func(s *state) { s.remove("tcp@b:1") })
		r.zk.advance()
		r.served()
	}
	r.mustShow("tcp@a:1 weight=1", "tcp@c:1 weight=1")
}

func TestAReadAtRestShowsNothingWhileAListIsDue(t *testing.T) {
	r := liveRig(t, true, "tcp@a:1")
	r.change(func(s *state) { s.set("tcp@a:1", "state=inactive"); s.create("tcp@b:1", "") })
	r.zk.advance()
	r.zk.deliver() // one of two
	r.ask(Read)
	r.served()
	r.mustShow("tcp@a:1 weight=1")
	r.settle()
	r.equal()
}

// Two instances take the place of two others in one transaction, again and again, and each time before they are read. Nothing that could be shown was ever
// so; what is left of such a list may be nobody.
func TestWhatContradictsItselfTakesNobodyAway(t *testing.T) {
	r := liveRig(t, true, rigNames[:2]...)
	replace := func(i int) {
		r.change(func(s *state) {
			for name := range s.nodes {
				s.remove(name)
			}
			for _, name := range rigNames[2*i%6:][:2] {
				s.create(name, "weight=1")
			}
		})
		r.zk.advance()
	}
	for i := range 3 * maxTorn {
		replace(2*i + 1)
		r.told()
		r.zk.now = r.zk.now.Add(10 * lastRetry)
		r.ask(List)
		r.served()
		r.ask(Read)
		replace(2*i + 2)
		r.served()
		r.mustShow("tcp@a:1 weight=1", "tcp@b:1 weight=1")
	}
	r.settle()
	r.equal()
}
