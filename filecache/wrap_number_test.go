package filecache

import (
	"slices"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// What two processes that share a file, or one after another, have in it.

// saved is what the file of a wrapped discovery has.
func saved(t *testing.T, w client.ServiceDiscovery) Snapshot {
	t.Helper()
	s, err := w.(*fileBacked).cache.Load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheNumbersOfListsGoOnAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		var last Snapshot
		for range 3 {
			s := newSource("tcp@a:1")
			w := wrap(s)
			for _, key := range []string{"tcp@b:1", "tcp@c:1"} {
				s.say("tcp@a:1", key)
				pass(2 * saveGap)
				file := saved(t, w)
				wantKeys(t, listOf(file), "tcp@a:1", key)
				if file.Era != 1 || file.Zxid <= last.Zxid || file.Lineage != "" {
					t.Errorf("lineage %q, era %d, number %d after era %d, number %d", file.Lineage, file.Era, file.Zxid, last.Era, last.Zxid)
				}
				last = file
			}
			w.Close()
		}
	})
}

// P1 waits for the second between two writes with what its source has said. Meanwhile P2's source says something, twice, and that is written. P1's list
// has the lower number, and was said before.
func TestAListThatComesTooLateDoesNotReplaceALaterOne(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		one, two := newSource("tcp@a:1"), newSource("tcp@a:1")
		w := wrap(one)
		defer w.Close()
		v := wrap(two)
		defer v.Close()
		pass(time.Minute)
		two.say("tcp@a:1", "tcp@b:1")
		pass(500 * time.Millisecond)
		one.say("tcp@a:1", "tcp@c:1")
		pass(100 * time.Millisecond)
		one.say("tcp@a:1", "tcp@d:1")
		pass(100 * time.Millisecond)
		two.say("tcp@a:1", "tcp@e:1")
		pass(100 * time.Millisecond)
		two.say("tcp@a:1", "tcp@f:1")
		pass(time.Minute)
		wantKeys(t, listOf(saved(t, w)), "tcp@a:1", "tcp@f:1")
		one.say("tcp@a:1", "tcp@d:1") // again, and later
		pass(time.Minute)
		wantKeys(t, listOf(saved(t, w)), "tcp@a:1", "tcp@d:1")
	})
}

// A registry that is polled says the same again. That is later than what another process has saved since.
func TestAListThatIsSaidAgainIsTheLastWord(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		one, two := newSource("tcp@a:1"), newSource("tcp@a:1")
		w := wrap(one)
		defer w.Close()
		v := wrap(two)
		defer v.Close()
		one.say("tcp@a:1", "tcp@b:1")
		pass(10 * saveGap)
		two.say("tcp@a:1", "tcp@c:1")
		pass(10 * saveGap)
		wantKeys(t, listOf(saved(t, w)), "tcp@a:1", "tcp@c:1")
		one.say("tcp@a:1", "tcp@b:1")
		pass(10 * saveGap)
		wantKeys(t, listOf(saved(t, w)), "tcp@a:1", "tcp@b:1")
	})
}

// Nothing of Wrap's makes such a file. Nor does it stop Wrap, or keep it busy.
func TestAFileOfALaterEraIsOvertaken(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		s := newSource("tcp@a:1")
		w := wrap(s)
		defer w.Close()
		mustSave(t, mustOpenWrapped(t, w.(*fileBacked).cache.dir), Snapshot{Era: 5, Zxid: 1, AsOf: time.Now(), Servers: []Server{{Key: "tcp@x:1"}}})
		pass(time.Minute)
		s.say("tcp@a:1", "tcp@b:1")
		pass(time.Minute)
		file := saved(t, w)
		wantKeys(t, listOf(file), "tcp@a:1", "tcp@b:1")
		if n := w.(*fileBacked).keeper.Status().Saves; file.Era != 5 || n > 5 {
			t.Errorf("era %d, after %d writes", file.Era, n)
		}
	})
}

// While servers are held, two saves are a second apart. Close does not wait for that second, and loses nothing.
func TestTheLastListBeforeCloseIsInTheFile(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, _ *fleet, wrap func(Guard, ...string) *guarded) {
		all := named(20)
		w := wrap(Guard{}, all...)
		w.pass(time.Minute)
		w.say(10*saveGap, all[:2]...)
		w.say(saveGap/4, all[:3]...)
		w.say(saveGap/4, append(all[:3:3], "tcp@127.0.0.9:1")...)
		w.Close()
		if keys, held := w.file(); len(keys) != 21 || len(held) != 17 {
			t.Errorf("the file has %d, of which %d are held", len(keys), len(held))
		}
	})
}

// G3: servers with TLS, and a probe that speaks in plain text.
func TestWhereNoProbeReachesAServerTheMissingAreKeptAMinuteAndThatIsTold(t *testing.T) {
	inGuardedBubble(t, func(t *testing.T, f *fleet, wrap func(Guard, ...string) *guarded) {
		all := named(3)
		f.become(isDead, all...)
		w := wrap(Guard{}, all...)
		defer w.Close()
		w.pass(time.Hour)
		w.say(55*time.Second, all[:1]...)
		w.lists(all)
		w.pass(30 * time.Second)
		w.lists(all[:1])
		for _, line := range []string{"level=WARN msg=\"probes reach no instance", "level=WARN msg=\"letting go of instances"} {
			if n := w.logs.count(line); n != 1 {
				t.Errorf("%q is told %d times:\n%s", line, n, w.logs)
			}
		}
	})
}

// Two processes hear the same, one of them sooner. It numbers more lists, and confirms the last of them earlier.
func TestAHigherNumberOfTheSameListStopsNoRestamp(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		late, early := newSource("tcp@a:1"), newSource("tcp@a:1")
		w := wrap(late)
		defer w.Close()
		v := wrap(early)
		pass(time.Minute)
		for _, key := range []string{"tcp@b:1", "tcp@c:1", "tcp@d:1"} {
			early.say("tcp@a:1", key)
			pass(150 * time.Millisecond)
		}
		late.say("tcp@a:1", "tcp@d:1")
		pass(time.Minute)
		v.Close()
		for range 4 {
			pass(30 * time.Minute)
			late.say("tcp@a:1", "tcp@d:1")
		}
		pass(20 * time.Minute)
		if age := time.Since(saved(t, w).AsOf); age > time.Hour {
			t.Errorf("confirmed 20 minutes ago, and the file says %v", age)
		}
	})
}

// P1's source says three lists within the second between two writes. P2 begins, hears of a later one and writes it: its number is lower than that of P1's
// last, which is written now. The list that was heard last stays.
func TestAListThatWasCountedAndNeverWrittenDoesNotMakeALaterOneOld(t *testing.T) {
	for _, ends := range []bool{true, false} {
		inBubble(t, func(t *testing.T, wrap wrapFunc) {
			one, two := newSource("tcp@a:1"), newSource("tcp@z:1")
			w := wrap(one)
			pass(time.Minute)
			one.say("tcp@a:1", "tcp@b:1") // is written at once
			pass(10 * time.Millisecond)
			for _, key := range []string{"tcp@c:1", "tcp@d:1", "tcp@e:1"} {
				one.say("tcp@a:1", key)
				pass(20 * time.Millisecond)
			}
			v := wrap(two)
			defer v.Close()
			pass(20 * time.Millisecond)
			if ends {
				w.Close()
			} else {
				defer w.Close()
			}
			pass(10 * time.Minute)
			want := make([]string, 0, 5)
			for _, p := range v.GetServices() {
				want = append(want, p.Key)
			}
			if !slices.Contains(want, "tcp@z:1") {
				t.Errorf("lists %v, and not what was heard last", want)
			}
			wantKeys(t, listOf(saved(t, v)), want...)
		})
	}
}

// P1 says its last list within the second after its write, P2 has saved several since, and both end. P1's save has the lower number, and was heard last.
func TestTheLastListBeforeCloseIsInTheFileThoughAnotherProcessHasSaved(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		one, two := newSource("tcp@a:1"), newSource("tcp@a:1")
		w, v := wrap(one), wrap(two)
		pass(time.Minute)
		one.say("tcp@a:1", "tcp@b:1")
		pass(100 * time.Millisecond)
		for _, key := range []string{"tcp@c:1", "tcp@d:1", "tcp@e:1", "tcp@f:1"} {
			two.say("tcp@a:1", key)
			pass(20 * time.Millisecond)
		}
		pass(100 * time.Millisecond)
		one.say("tcp@a:1", "tcp@last:1")
		pass(0)
		v.Close()
		w.Close()
		if keys := keysOf(listOf(saved(t, w))); !slices.Contains(keys, "tcp@last:1") {
			t.Errorf("the file has %q", keys)
		}
	})
}

// The other way round: what P2 has heard later stays when P1 ends.
func TestTheLastListBeforeCloseDoesNotReplaceALaterOne(t *testing.T) {
	inBubble(t, func(t *testing.T, wrap wrapFunc) {
		one, two := newSource("tcp@a:1"), newSource("tcp@a:1")
		w, v := wrap(one), wrap(two)
		pass(time.Minute)
		one.say("tcp@a:1", "tcp@b:1")
		pass(100 * time.Millisecond)
		one.say("tcp@a:1", "tcp@early:1")
		for _, key := range []string{"tcp@c:1", "tcp@d:1", "tcp@e:1", "tcp@last:1"} {
			pass(20 * time.Millisecond)
			two.say("tcp@a:1", key)
		}
		pass(0)
		v.Close()
		w.Close()
		wantKeys(t, listOf(saved(t, w)), keysOf(v.GetServices())...)
		if keys := keysOf(listOf(saved(t, w))); !slices.Contains(keys, "tcp@last:1") {
			t.Errorf("the file has %q", keys)
		}
	})
}

// P1's source has said its list at 13:00, by a clock that is set back to 12:00 then. P2 hears another at 12:05. P1's source has said nothing since.
func TestAListThatWasHeardInTheFutureDoesNotReplaceALaterOne(t *testing.T) {
	cfg := defaultConfig()
	cfg.nameOnly = true
	cache, err := prepare(newMemFS(), "/cache", "e", "s", cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	lp := newWrapLoop(newFileBacked(cache, nil))
	ahead, later := noon.Add(time.Hour), noon.Add(5*time.Minute)
	lp.takeFile(News{Err: errNone}, ahead)
	lp.hear(pairs("tcp@a:1"), ahead)
	ours, _ := lp.belief.ToSave(ahead)
	if ours == nil {
		t.Fatal("the first list is not saved")
	}
	theirs := Snapshot{Era: ours.Era, Zxid: ours.Zxid + 1, AsOf: later, Servers: []Server{{Key: "tcp@b:1", Value: "weight=5"}}}
	lp.takeFile(News{File: &theirs}, later.Add(time.Second))
	if rec, _ := lp.belief.ToSave(later.Add(10 * time.Second)); rec != nil {
		t.Errorf("%q takes its place, as number %d", keysOf(rec.Listed), rec.Zxid)
	}
	lp.hear(pairs("tcp@a:1"), later.Add(time.Minute)) // again, and later
	if rec, _ := lp.belief.ToSave(later.Add(time.Minute)); rec == nil || rec.Zxid <= theirs.Zxid {
		t.Errorf("what is said last is not saved: %+v", rec)
	}
}
