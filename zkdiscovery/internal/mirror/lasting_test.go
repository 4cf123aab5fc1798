package mirror

import (
	"slices"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// lastingRig is liveRig over a connection with lasting watches.
func lastingRig(t *testing.T, names ...string) *rig {
	t.Helper()
	r := newRig(t, true)
	r.zk.lasting = true
	r.zk.txn(func(s *state) {
		s.create("", "")
		for _, name := range names {
			s.create(name, "weight=1")
		}
	})
	r.noteValues()
	r.zk.connect(0)
	r.settle()
	r.equal()
	return r
}

func TestWithALastingWatchAChangeIsOneReadOfTheChildAndThePath(t *testing.T) {
	r := lastingRig(t, "tcp@a:1", "tcp@b:1")
	for _, tc := range []struct {
		what   string
		change func(*state)
		want   []string
	}{
		{"added", func(s *state) { s.create("tcp@c:1", "weight=2") }, []string{"tcp@a:1 weight=1", "tcp@b:1 weight=1", "tcp@c:1 weight=2"}},
		{"changed", func(s *state) { s.set("tcp@c:1", "weight=3") }, []string{"tcp@a:1 weight=1", "tcp@b:1 weight=1", "tcp@c:1 weight=3"}},
		{"taken over", func(s *state) { s.remove("tcp@a:1"); s.create("tcp@a:1", "weight=4") }, []string{"tcp@a:1 weight=4", "tcp@b:1 weight=1", "tcp@c:1 weight=3"}},
		{"removed", func(s *state) { s.remove("tcp@c:1") }, []string{"tcp@a:1 weight=4", "tcp@b:1 weight=1"}},
	} {
		before := r.zk.requests
		r.change(tc.change)
		r.told()
		if j := r.ask(Read); !j.Path || len(j.Names) != 1 {
			t.Errorf("%s: %+v", tc.what, j)
		}
		r.served()
		r.mustShow(tc.want...)
		r.equal()
		if n := r.zk.requests - before; n != 1 {
			t.Errorf("%s: %d requests", tc.what, n)
		}
	}
}

func TestWhatComesDuringAReadIsShownWithIt(t *testing.T) {
	r := lastingRig(t, "tcp@a:1")
	r.change(func(s *state) { s.create("tcp@b:1", "") })
	r.told()
	r.ask(Read)
	r.change(func(s *state) { s.create("tcp@c:1", "") })
	shown := len(r.published)
	r.told()
	r.served()
	if len(r.published) != shown {
		t.Error("one of two is shown")
	}
	r.settle()
	r.equal()
	if len(r.published) != shown+1 {
		t.Errorf("%d lists for two that came together", len(r.published)-shown)
	}
}

// together makes a change of each of these in one transaction, of which the first notification comes.
func (r *rig) together(change func(s *state, name string), names ...string) {
	r.change(func(s *state) {
		for _, name := range names {
			change(s, name)
		}
	})
	r.zk.advance()
	r.zk.deliver()
}

func comeIn(s *state, name string) { s.create(name, "") }

func TestReadsThatDoNotCatchUpEndWithAList(t *testing.T) {
	r := lastingRig(t, "tcp@a:1")
	three := rigNames[1:4]
	r.change(func(s *state) { s.set("tcp@a:1", "weight=2") })
	r.told()
	r.ask(Read)
	r.comes()
	r.together(comeIn, three...)
	r.taken()
	r.ask(Read) // of the first of three
	r.served()
	r.ask(Read) // of the two others
	r.comes()
	r.together((*state).remove, three...)
	r.taken()
	r.ask(Read) // of the first of three
	r.served()
	r.ask(List)
	r.together(comeIn, three...)
	r.served()
	r.ask(Read)
	r.comes()
	r.together((*state).remove, three...)
	r.taken()
	r.mustShow("tcp@a:1 weight=2", "tcp@b:1 ", "tcp@c:1 ", "unix@d ")
	r.settle()
	r.equal()
}

func TestAChangeDuringEachReadCostsNoList(t *testing.T) {
	for what, change := range map[string]func(s *state, i int){
		"one comes or goes": func(s *state, i int) {
			if name := rigNames[1+i%4]; i/4%2 == 0 {
				s.create(name, "")
			} else {
				s.remove(name)
			}
		},
		"metadata": func(s *state, i int) { s.set("tcp@a:1", string(rune('a'+i))) },
	} {
		r := lastingRig(t, "tcp@a:1")
		next := func(i int) {
			r.change(func(s *state) { change(s, i) })
			r.told()
		}
		next(0)
		const rounds = 4 * (maxBehind + 1)
		shown := len(r.published)
		for i := range rounds {
			r.ask(Read)
			next(i + 1)
			r.served()
		}
		if n := len(r.published) - shown; n != rounds/(maxBehind+1) {
			t.Errorf("%s: %d lists are shown while they change", what, n)
		}
		r.settle()
		r.equal()
	}
}

func TestNewConnectionWithLastingWatchesReadsEverything(t *testing.T) {
	for _, to := range []bool{true, false} {
		r := lastingRig(t, "tcp@a:1", "tcp@b:1")
		r.zk.cut(session.ErrLost)
		r.change(func(s *state) { s.set("tcp@b:1", "weight=2") }) // of which nobody will tell
		r.zk.lasting = to
		r.zk.connect(0)
		r.told()
		r.ask(List)
		r.served()
		if j := r.ask(Read); len(j.Names) != 2 {
			t.Errorf("to lasting %v: %v are read", to, j.Names)
		}
		r.settle()
		r.equal()
	}
}

func TestLocksBesideInstancesCostNoList(t *testing.T) {
	r := lastingRig(t, "tcp@a:1")
	r.change(func(s *state) { s.create("lock-0001", "") })
	r.told()
	if j := r.ask(Read); len(j.Names) != 0 || !j.Path {
		t.Errorf("%+v", j)
	}
	r.served()
	r.equal()
	r.zk.now = r.zk.now.Add(2 * firstCheck)
	r.ask(List) // at rest: to count them
	r.served()
	if n, _ := r.m.Skipped(); n != 1 {
		t.Errorf("%d skipped", n)
	}
}

// The data of a service's path is rewritten by some old servers at each registration.
func TestDataOfThePathCostsNoListAndNoBlame(t *testing.T) {
	r := lastingRig(t, "tcp@a:1")
	for range 3 {
		r.change((*state).setPath)
		r.change((*state).setPath)
		r.told()
		j := r.ask(Read)
		r.change((*state).setPath)
		r.told()
		r.served()
		if len(j.Names) != 0 {
			t.Errorf("%+v", j)
		}
		r.settle()
	}
	if r.m.lasting != true || r.zk.st.Extension.Lasting != true {
		t.Error("distrusted")
	}
}

func TestServerThatDoesNotTellIsDistrustedWithTheListThatShowsIt(t *testing.T) {
	for _, swap := range []func(*state){
		func(s *state) { s.create("tcp@c:1", "") },
		func(s *state) { s.remove("tcp@a:1"); s.create("tcp@c:1", "") },
		func(s *state) { s.set("tcp@a:1", "weight=9") },
	} {
		r := lastingRig(t, "tcp@a:1", "tcp@b:1")
		r.zk.watching.lasting = false
		r.lossy = true
		r.change(swap)
		r.zk.advance()
		r.zk.now = r.zk.now.Add(2 * firstCheck)
		r.settle()
		if r.zk.st.Extension.Lasting {
			t.Error("trusted on")
		}
		r.lossy = false
		r.equal()
	}
}

// ClickHouse Keeper tells the path of the watch, whichever child has changed.
func TestServerThatTellsTheWatchsPathIsDistrusted(t *testing.T) {
	r := lastingRig(t, "tcp@a:1", "tcp@b:1")
	r.zk.paths = true
	r.change(func(s *state) { s.set("tcp@b:1", "weight=2") })
	r.settle()
	if r.zk.st.Extension.Lasting {
		t.Error("trusted on")
	}
	r.equal()
}

func TestChildThatMayNotBeReadKeepsAWatchOnTheChildren(t *testing.T) {
	r := lastingRig(t, "tcp@a:1")
	r.zk.filter, r.denied = true, true
	r.change(func(s *state) { s.create("tcp@b:1", "x"); s.deny("tcp@b:1", true) }) // which nobody tells
	r.zk.advance()
	r.zk.now = r.zk.now.Add(2 * firstCheck)
	r.settle()
	r.mustShow("tcp@a:1 weight=1", "tcp@b:1 ")
	if !r.zk.st.Extension.Lasting || !r.zk.watching.child {
		t.Errorf("lasting %v, watches %+v", r.zk.st.Extension.Lasting, r.zk.watching)
	}
	r.change(func(s *state) { s.remove("tcp@b:1") })
	r.settle()
	r.mustShow("tcp@a:1 weight=1")
	if !slices.Equal(r.shows(), []string{"tcp@a:1 weight=1"}) || !r.zk.st.Extension.Lasting {
		t.Error("distrusted although somebody else has told")
	}
}

func TestALookThatFindsAChildThatMayNotBeReadLeavesAWatchOnTheChildren(t *testing.T) {
	r := lastingRig(t, "tcp@a:1", "tcp@b:1")
	r.zk.filter, r.denied = true, true
	r.change(func(s *state) { s.deny("tcp@b:1", true) }) // which nobody tells
	r.zk.now = r.m.plan.checkAt
	r.settle()
	r.change(func(s *state) { s.remove("tcp@b:1") })
	r.settle()
	r.mustShow("tcp@a:1 weight=1")
}

// What is told between a question and its answer once made up for what was not told.
func TestAnInstanceThatMayNotBeReadIsNotMissedBesideOthers(t *testing.T) {
	for what, tc := range map[string]struct {
		before, untold func(*state)
		want           []string
	}{
		"comes": {
			func(*state) {}, func(s *state) { s.create("tcp@f:1", ""); s.deny("tcp@f:1", true) },
			[]string{"tcp@a:1 weight=1", "tcp@b:1 ", "tcp@c:1 ", "tcp@e:1 ", "tcp@f:1 "},
		},
		"goes": {
			func(s *state) { s.create("tcp@f:1", "") }, func(s *state) { s.remove("tcp@f:1") },
			[]string{"tcp@a:1 weight=1", "tcp@b:1 ", "tcp@c:1 ", "tcp@e:1 "},
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := lastingRig(t, "tcp@a:1")
			r.zk.filter, r.denied = true, true
			r.change(tc.before)
			r.settle()
			r.change(func(s *state) { s.deny("tcp@f:1", true) })
			r.change(func(s *state) { s.create("tcp@b:1", "") })
			r.told()
			r.ask(Read)
			r.change(func(s *state) { s.create("tcp@c:1", "") })
			r.told()
			r.served()
			r.ask(Read)
			r.change(func(s *state) { s.create("tcp@e:1", "") })
			r.change(tc.untold)
			r.told()
			r.served()
			r.settle()
			r.mustShow(tc.want...)
		})
	}
}

func TestALookAtRestShowsNothingWhileAListIsDue(t *testing.T) {
	hidden := rigNames[1:4]
	r := lastingRig(t, append(slices.Clip(hidden), "tcp@a:1")...)
	r.zk.filter, r.denied = true, true
	r.zk.txn(func(s *state) {
		for _, name := range hidden {
			s.deny(name, true)
		}
	})
	r.zk.now = r.zk.now.Add(2 * lastCheck)
	r.settle() // has found out, and has left a watch on the children
	r.zk.now = r.zk.now.Add(2 * lastCheck)
	r.ask(Check)
	r.change(func(s *state) {
		for _, name := range hidden[:2] {
			s.remove(name)
		}
		s.remove("tcp@a:1")
	})
	shown := len(r.published)
	r.told()
	r.zk.job.Names = hidden[:1]
	r.served()
	if !r.m.plan.list || len(r.published) != shown {
		t.Errorf("a list is due: %v; %d lists are shown before it", r.m.plan.list, len(r.published)-shown)
	}
	r.settle()
	r.equal()
}

func TestAServerIsNotBlamedForWhatAnotherHasNotTold(t *testing.T) {
	r := lastingRig(t, "tcp@a:1", "tcp@b:1")
	r.zk.watching.lasting = false // this one does not tell
	r.lossy = true
	r.change(func(s *state) { s.create("tcp@c:1", "") })
	r.zk.advance()
	r.zk.now = r.zk.now.Add(2 * firstCheck)
	r.ask(Check)
	r.served() // found: a list is to come
	r.zk.cut(session.ErrLost)
	r.zk.connect(0)
	r.settle()
	if !r.zk.st.Extension.Lasting {
		t.Error("a server is distrusted that was not asked anything before")
	}
}

func TestWhatTheWatchOnTheChildrenHasToldIsNotMended(t *testing.T) {
	r := lastingRig(t, "tcp@a:1", "tcp@b:1", "tcp@e:1", "tcp@f:1")
	r.zk.filter, r.denied = true, true
	r.change(func(s *state) { s.create("unix@d", ""); s.deny("unix@d", true) })
	r.told()
	r.zk.now = r.zk.now.Add(2 * firstCheck)
	r.settle() // has found out, and has left a watch on the children
	r.together(func(s *state, _ string) {
		s.create("tcp@c:1", "")
		s.remove("unix@d") // of which only the watch on the children tells
	}, "")
	j := r.ask(Read)
	r.comes()
	r.look()
	if r.m.Read(j, r.zk.job.nodes, false); r.m.TakeNews().Mended > 0 || len(r.m.plan.dirty) > 0 {
		t.Errorf("%d children are to be read again", len(r.m.plan.dirty))
	}
}
