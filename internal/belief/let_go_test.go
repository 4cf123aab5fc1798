package belief

import (
	"slices"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// What a Belief that is let go leaves to the next one.

func TestWhatIsShownBeforeTheFirstList(t *testing.T) {
	for what, tc := range map[string]struct {
		file   int64 // its zxid beside that of the memory; 0: there is no file
		looked bool  // at the file
		may    bool
		want   Source
		lists  int // so many instances
	}{
		"the registry may still answer":             {0, true, false, None, 0},
		"nobody has looked at the file yet":         {0, false, true, None, 0},
		"there is no file":                          {0, true, true, Stale, 3},
		"the file is of the same list":              {100, true, true, Stale, 3},
		"the disk did not take the newest list":     {99, true, true, Stale, 3},
		"another process has heard more since":      {101, true, true, File, 2},
		"it has, and the registry may still answer": {101, true, false, None, 0},
	} {
		b := newBench(t, Config{})
		s := b.servers(3)
		b.b.Remember(b.memory(s))
		if tc.may {
			b.b.MayServe()
		}
		if before := b.b.Version(); tc.looked {
			var rec *Record
			if tc.file > 0 {
				rec = b.file(s[:2], time.Time{})
				rec.Zxid = tc.file
			}
			b.b.Found(rec, false, b.now)
			if b.b.Version() == before {
				t.Errorf("%s: nobody is told", what)
			}
		}
		if is := b.b.Shown(); is.Source != tc.want || len(is.Pairs) != tc.lists {
			t.Errorf("%s: %v with %d instances, want %v with %d", what, is.Source, len(is.Pairs), tc.want, tc.lists)
		}
	}
}

// A clone that was let go met a mass loss when it was taken up: ten instances, and then none.
func TestWhatACallerWasShownBeforeIsGuarded(t *testing.T) {
	for name, rule := range map[string]struct {
		file, shown []int // how many of ten the file has and the caller was shown; the file's are from the end
		later       bool  // the file is later
		want        []int // from, to
	}{
		"without a file":                            {nil, []int{0, 10}, false, []int{0, 10}},
		"the file is no later":                      {[]int{5, 10}, []int{0, 10}, false, []int{0, 10}},
		"the file is later":                         {[]int{2, 10}, []int{0, 6}, true, []int{2, 6}},
		"the file is later, and they do not answer": {[]int{2, 8}, []int{0, 8}, true, []int{2, 8}},
	} {
		b := newBench(t, Config{})
		s := b.servers(10)
		memory := b.memory(s[rule.shown[0]:rule.shown[1]])
		if rule.file != nil {
			file := b.file(s[rule.file[0]:rule.file[1]], time.Time{})
			if rule.later {
				file.Zxid++
			}
			b.b.Found(file, false, b.now)
		}
		b.b.Remember(memory)
		b.hear(nil)
		b.want(name+": at once", s[rule.want[0]:rule.want[1]])
	}
}

func TestAListOverAnotherConnectionThanTheOneThatWasShownIsAReconnect(t *testing.T) {
	for link, held := range map[int64]int{7: 0, 6: 1} {
		b := newBench(t, Config{})
		s := b.servers(10)
		b.link = link
		b.b.Remember(b.memory(s))
		b.link = 7
		b.list(s[1:])
		if n := len(b.b.Shown().Held); n != held {
			t.Errorf("shown over %d, listed over 7, one of ten lost: %d held, want %d", link, n, held)
		}
	}
}

// Met as a list that went back: the disk was read-only when the clone was taken up again, and the file could not be read any more.
func TestAFilesListThatWasShownIsRememberedWithoutTheFile(t *testing.T) {
	for name, before := range map[string]bool{"no list of the registry's is known": false, "an older one is": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Config{})
			s := b.servers(4)
			if before {
				b.b.Remember(b.memory(s[:3]))
			}
			file := b.file(s[1:], time.Time{})
			file.Zxid++
			file.Held = []Server{{&client.KVPair{Key: "tcp@z:1"}, b.now}}
			all := append(slices.Clone(s[1:]), "tcp@z:1")
			b.b.Found(file, false, b.now)
			b.b.MayServe()
			b.want("the file's", all)
			for range 2 {
				memory := b.b.Memory()
				b.b = New(b.b.cfg)
				b.b.Remember(memory)
				b.b.MayServe()
				b.b.Found(nil, false, b.now)
				b.want("the file's, and there is no file", all)
				is := b.b.Shown()
				if held := b.b.Held(is.Held); len(held) != 1 || held[0].Reason != FromFile || is.Source != File || is.Generation != file.Generation {
					t.Errorf("%v, %+v, held %v", is.Source, is.Generation, held)
				}
			}
			b.reconnect()
			b.hear(nil)
			b.want("the registry came back empty", all)
		})
	}
}

func TestARelayedListIsRememberedAsTheFiles(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	b.list(s[:2])
	b.relayed(s[1:], time.Time{})
	memory := b.b.Memory()
	b.b = New(b.b.cfg)
	b.b.Remember(memory)
	b.b.MayServe()
	b.b.Found(nil, false, b.now)
	b.want("the file's", s[1:])
	if source := b.b.Source(); source != File {
		t.Error(source)
	}
}

func TestAFilesListThatMightNotServeIsNotRemembered(t *testing.T) {
	b := newBench(t, Config{})
	b.remembers(b.servers(2), time.Time{}, false)
	if m := b.b.Memory(); m != nil {
		t.Errorf("%+v", m.rec)
	}
}

// The window after a reconnect was forgotten with the clone that nobody used.
func TestTheWindowAfterAReconnectGoesOnForWhoRemembers(t *testing.T) {
	b := newBench(t, Config{Window: time.Minute})
	s := b.servers(10)
	b.list(s)
	b.reconnect()
	b.list(s)
	b.pass(40 * time.Second)
	memory := b.b.Memory()
	b.b = New(b.b.cfg)
	b.b.Remember(memory)
	b.list(s)
	b.pass(10 * time.Second)
	b.list(s[1:])
	b.wantHeld(1)
	b.pass(time.Minute)
	b.list(s[2:])
	b.wantHeld(1) // the second went when the window was over
}

// Of a window that is longer than a clone is kept which nobody uses.
func TestLossesOfTheWindowCountForWhoRemembers(t *testing.T) {
	b := newBench(t, Config{Window: time.Hour})
	s := b.servers(10)
	b.list(s)
	b.list(s[4:]) // is believed
	memory := b.b.Memory()
	b.b = New(b.b.cfg)
	b.b.Remember(memory)
	b.list(s[4:])
	b.list(s[6:]) // six of ten
	b.wantHeld(6)
}

// A backup was restored. Another process could not write before, and the list that was heard since is in memory only.
func TestWhatACallerWasShownIsLaterThanAFileThatWasConfirmedBeforeItWasAskedFor(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	file := b.file(s[3:], time.Time{})
	file.Zxid += 50
	b.now = b.now.Add(time.Minute)
	b.list(s[:3])
	memory := b.b.Memory()
	b.b = New(b.b.cfg)
	b.b.Remember(memory)
	b.b.Found(file, false, b.now)
	rec, _ := b.b.file.memories()
	if rec != memory.rec {
		t.Errorf("remembered: %+v", rec.Generation)
	}
}
