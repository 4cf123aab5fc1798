package guard

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench drives a Guard through a scenario in simulated time: servers answer probes when they are up.
type bench struct {
	*testing.T
	g       *Guard
	now     time.Time
	up      map[string]bool
	lineage string
	probes  map[string][]time.Time
	most    int // probes at once

	unaskable func(key string) bool
}

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	return &bench{T: t, g: New(cfg), now: time.Unix(1e9, 0), up: make(map[string]bool), lineage: "a", probes: make(map[string][]time.Time)}
}

// servers are the names s1 … sn, all up.
func (b *bench) servers(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("tcp@127.0.0.1:%04d", i+1)
		b.up[names[i]] = true
	}
	return names
}

func pairs(names []string, metadata string) []*client.KVPair {
	var l []*client.KVPair
	for _, n := range names {
		l = append(l, &client.KVPair{Key: n, Value: metadata})
	}
	slices.SortFunc(l, byKey)
	return l
}

func (b *bench) list(names []string) { b.listed(pairs(names, "weight=1")) }

func (b *bench) listed(l []*client.KVPair) {
	b.g.Listed(l, b.lineage, b.now)
	b.pass(0)
}

// pass lets d go by: the guard's wishes are carried out when they are due; a probe takes no time when the server is up or refuses.
func (b *bench) pass(d time.Duration) {
	b.Helper()
	end := b.now.Add(d)
	for range 1_000_000 {
		b.g.Tick(b.now)
		ask := b.g.Probes(b.now)
		b.most = max(b.most, len(ask))
		for _, p := range ask {
			b.probes[p.Key] = append(b.probes[p.Key], b.now)
			b.g.Probed(p.Key, b.ask(p.Key), b.now)
		}
		if len(ask) > 0 {
			continue
		}
		at := b.g.Wake()
		if at.IsZero() || at.After(end) {
			b.now = end
			return
		}
		if !at.After(b.now) {
			b.Fatalf("the guard wants to be woken at %v, which is not after %v, and does nothing then", at, b.now)
		}
		b.now = at
	}
	b.Fatal("the guard does not come to rest")
}

// ask is what a probe of the instance would say.
func (b *bench) ask(key string) Answer {
	switch {
	case b.unaskable != nil && b.unaskable(key):
		return Unaskable
	case b.up[key]:
		return Alive
	}
	return Silent
}

func (b *bench) names() []string {
	var names []string
	for _, p := range b.g.List() {
		names = append(names, p.Key)
	}
	return names
}

func (b *bench) want(what string, names []string) {
	b.Helper()
	if got, want := b.names(), slices.Sorted(slices.Values(names)); !slices.Equal(got, want) {
		b.Fatalf("%s:\n got %v\nwant %v", what, short(got), short(want))
	}
}

func (b *bench) wantHeld(n int) {
	b.Helper()
	if got := len(b.g.Held()); got != n {
		b.Fatalf("%d held, want %d", got, n)
	}
}

func short(names []string) string {
	return fmt.Sprintf("%d: %s", len(names), strings.ReplaceAll(strings.Join(names, " "), "tcp@127.0.0.1:", ""))
}

func TestAFirstListIsBelieved(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	b.list(s)
	b.want("the first list", s)
	b.wantHeld(0)
}

func TestARemovalPassesAtOnceWhenItIsOneOfFew(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	b.list(s)
	b.list(s[2:])
	b.want("two of five are few", s[2:])
}

func TestMoreThanHalfAreHeldAndStayWhileTheyAnswer(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	b.list(s)
	b.list(s[3:])
	b.want("three of five", s)
	b.wantHeld(3)
	b.pass(24 * time.Hour)
	b.want("a day later, answering", s)
	b.up[s[0]] = false
	b.pass(12 * time.Second)
	b.want("after one of them died", s[1:])
}

func TestAnEmptyListIsAlwaysSuspicious(t *testing.T) {
	b := newBench(t, Config{Share: 1})
	s := b.servers(1)
	b.list(s)
	b.list(nil)
	b.want("the only one is gone from the registry", s)
	b.up[s[0]] = false
	b.pass(12 * time.Second)
	b.want("and dead", nil)
}

func TestALossThatTricklesInIsSeenAsOne(t *testing.T) {
	b := newBench(t, Config{Window: 10 * time.Second})
	s := b.servers(20)
	b.list(s)
	for i := range s {
		b.list(s[i+1:])
		b.pass(400 * time.Millisecond)
	}
	b.want("all twenty, one by one within eight seconds", s)
	b.wantHeld(20)
}

func TestLossesFurtherApartThanTheWindowAreBelieved(t *testing.T) {
	b := newBench(t, Config{Window: 10 * time.Second})
	s := b.servers(20)
	b.list(s)
	for i := range 18 {
		b.list(s[i+1:])
		b.pass(11 * time.Second)
	}
	b.want("eighteen, one every eleven seconds", s[18:])
}

func TestInTheWindowAfterAReconnectEveryRemovalIsHeld(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.g.SetWindow(6 * time.Second)
	b.g.Suspect(b.now)
	b.list(s[1:])
	b.want("one of twenty", s)
	b.pass(7 * time.Second)
	b.list(s[2:])
	b.want("after the window one passes, and the held one answers still", append(s[2:], s[0]))
}

func TestAGoodbyePassesAtOnceWhateverTheShare(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.listed(pairs(s, "state=inactive"))
	b.want("a mass of goodbyes changes metadata only", s)
	b.list(nil)
	b.want("and then they are gone", nil)
	b.wantHeld(0)
}

func TestAdditionsAndChangesPassAtOnceDuringAnIncident(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(6)
	b.list(s[:5])
	b.list(nil)
	b.listed(pairs(s[4:], "weight=9"))
	b.want("one back with other metadata, one new", s)
	b.wantHeld(4)
	for _, p := range b.g.List() {
		if p.Key == s[4] && p.Value != "weight=9" {
			t.Errorf("the one that is back has %q", p.Value)
		}
	}
}

func TestAHeldOneThatIsListedAgainIsSimplyKnown(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5)
	b.list(s)
	b.list(nil)
	b.wantHeld(5)
	b.list(s)
	b.wantHeld(0)
	if at := b.g.Wake(); !at.IsZero() {
		t.Errorf("nothing is held, and yet the guard wants to be woken at %v", at)
	}
}

func TestTheDeadLeaveWithinSeconds(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	for _, name := range s[:8] {
		b.up[name] = false
	}
	b.list(nil)
	b.pass(5 * time.Second)
	b.want("eight of twenty are dead", s[8:])
}

func TestWhoCannotBeAskedLeavesWhenItsHoldEnds(t *testing.T) {
	b := newBench(t, Config{})
	b.unaskable = func(key string) bool { return strings.HasSuffix(key, "1") }
	s := b.servers(2)
	b.list(s)
	b.list(nil)
	b.pass(DefaultUnprobed - time.Second)
	b.want("before the end", s)
	b.pass(2 * time.Second)
	b.want("after it", s[1:])
}

func TestWhoCannotBeAskedAnyMoreIsNotKeptForEver(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(1)
	b.list(s)
	b.list(nil)
	b.pass(time.Hour)
	b.unaskable = func(string) bool { return true }
	b.pass(againAfter)
	b.want("its last answer is history", nil)
}

func TestBlackHolesOutlastTheHoldAndLeaveAtItsEnd(t *testing.T) {
	b := newBench(t, Config{Hold: 5 * time.Minute})
	s := b.servers(5_000)
	b.list(s)
	b.g.Listed(nil, "a", b.now)
	var asked int
	under := map[string]time.Time{}
	for range 299 { // a probe of a black hole takes its whole second
		for key := range under {
			delete(under, key)
			b.g.Probed(key, Silent, b.now)
		}
		b.g.Tick(b.now)
		for _, p := range b.g.Probes(b.now) {
			under[p.Key] = b.now
			asked++
		}
		if len(under) > DefaultParallel {
			t.Fatalf("%d probes at once", len(under))
		}
		b.now = b.now.Add(time.Second)
	}
	if n := len(b.g.Held()); n < 5_000-asked {
		t.Errorf("%d held before the hold's end, of 5,000 with %d probes made", n, asked)
	}
	b.now = b.now.Add(2 * time.Second)
	b.g.Tick(b.now)
	b.wantHeld(0)
}

func TestTheFirstListOfAnotherLineageIsAMassRemoval(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.lineage = "b"
	b.list(s[1:])
	b.want("one of twenty, in another lineage", s)
	if !b.g.Pending() {
		t.Error("the lineage is accepted while somebody is held")
	}
	b.pass(DefaultHold)
	if b.g.Pending() {
		t.Error("the lineage is not accepted after the hold")
	}
	b.want("the held one answers still", s)
}

func TestAnotherLineageThatLacksNobodyIsAcceptedAtOnce(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(3)
	b.list(s)
	b.lineage = "b"
	b.list(s)
	if b.g.Pending() {
		t.Error("pending with nobody held")
	}
}

func known(names []string, since time.Time) []Known {
	var k []Known
	for _, n := range names {
		k = append(k, Known{&client.KVPair{Key: n, Value: "weight=1"}, since})
	}
	return k
}

func TestWhatOnlyTheFileKnowsEntersWhenItAnswers(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	for _, name := range s[10:] {
		b.up[name] = false
	}
	b.g.Remember(known(s, time.Time{}), "a", false)
	b.g.Listed(nil, "b", b.now)
	b.want("nobody was asked yet", nil)
	b.pass(time.Second)
	b.want("the ten that answer", s[:10])
	if !b.g.Pending() {
		t.Error("accepted while ten are held")
	}
}

func TestTheDeadOfAnOldFileAreNeverListed(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(40)
	for _, name := range s[:20] {
		b.up[name] = false
	}
	b.g.Remember(known(s[:20], time.Time{}), "a", false)
	b.list(s[20:])
	for range 600 {
		b.want("at any time", s[20:])
		b.pass(time.Second)
	}
	if b.g.Holding() {
		t.Error("somebody is held after ten minutes")
	}
}

func TestWhatTheFileAloneKnowsIsBelievedGoneWhenItIsOneOfFew(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.g.Remember(known(s, time.Time{}), "a", false)
	b.list(s[1:])
	b.pass(time.Minute)
	b.want("it was taken out while this process was away, and answers still", s[1:])
}

func TestAListServedFromTheFileIsHeldLikeOneOfOurOwn(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.g.Remember(known(s, time.Time{}), "a", true)
	b.want("the file's list", s)
	b.g.Suspect(b.now)
	b.list(nil)
	b.want("the registry came back empty", s)
}

func TestACrashLoopDoesNotRenewAHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	for _, name := range s {
		b.up[name] = false
	}
	b.g.Remember(known(s, b.now.Add(-time.Hour)), "a", true)
	b.g.Listed(nil, "a", b.now)
	b.pass(fileGrace)
	b.want("held since an hour, and dead", nil)
}

func TestAHoldFromTheFileThatAnswersStays(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	b.g.Remember(known(s, b.now.Add(-time.Hour)), "a", true)
	b.g.Listed(nil, "a", b.now)
	b.pass(time.Hour)
	b.want("held since an hour, and alive", s)
}

func TestOneThatHasAnsweredSurvivesASingleMissAfterItsHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(2)
	b.list(s)
	b.list(nil)
	b.pass(time.Hour)
	b.up[s[0]], b.up[s[1]] = false, false
	b.pass(againAfter) // each is asked once in that time
	b.want("one miss each, an hour after the hold's end", s)
	b.up[s[1]] = true
	b.pass(retryAfter)
	b.want("one has missed twice", s[1:])
}

func TestAListThatFlapsMakesNoMoreProbes(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	for range 1000 {
		b.list(s)
		b.list(nil)
		b.pass(10 * time.Millisecond)
	}
	for key, at := range b.probes {
		if len(at) > 11 {
			t.Errorf("%s was probed %d times in ten seconds", key, len(at))
		}
	}
	b.list(s)
	b.pass(time.Minute)
	b.list(s)
	if len(b.g.asked) > 0 {
		t.Errorf("probes of a minute ago are remembered: %v", b.g.asked)
	}
}

func TestAnAcceptedLineageIsToldLikeAHold(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(2)
	b.list(s)
	b.lineage = "b"
	b.list(nil)
	b.pass(DefaultHold - time.Second)
	holds := b.g.Holds()
	b.pass(time.Second)
	if b.g.Pending() || b.g.Holds() == holds {
		t.Errorf("pending %v, Holds %d as before: nobody would stamp the file anew", b.g.Pending(), holds)
	}
}

// Ten thousand instances that refuse at once made every one of their departures a walk over all the others.
func TestAMassOfDepartedIsNoQuadraticWork(t *testing.T) {
	b := newBench(t, Config{Jitter: func(d time.Duration) time.Duration { return d / 2 }})
	s := b.servers(MaxHeld)
	clear(b.up)
	b.list(s)
	began := time.Now()
	b.list(nil)
	b.pass(5 * time.Second)
	b.wantHeld(0)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%v for %d that refuse", took, len(s))
	}
}

func TestFiveThousandHeldCostLittleMemory(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(5_000)
	b.list(s)
	b.list(s)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	b.g.Listed(nil, "a", b.now)
	b.g.Probes(b.now)
	b.wantHeld(5_000)
	if n := len(b.g.List()); n != 5_000 {
		t.Fatalf("the list has %d", n)
	}
	if cost := heap() - before; cost > 5<<20 {
		t.Errorf("%d bytes", cost)
	} else {
		t.Logf("%d bytes for 5,000 held instances", cost)
	}
	runtime.KeepAlive(b)
}

func TestProbesAreBounded(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(100)
	for _, name := range s[50:] {
		b.up[name] = false
	}
	b.list(s)
	b.pass(time.Hour)
	if len(b.probes) > 0 {
		t.Fatal("probes although nobody is held")
	}
	b.list(nil)
	b.pass(time.Minute)
	if b.most > DefaultParallel {
		t.Errorf("%d probes at once", b.most)
	}
	for key, at := range b.probes {
		for i := 1; i < len(at); i++ {
			if d := at[i].Sub(at[i-1]); d < time.Second/2 {
				t.Errorf("%s was probed twice within %v", key, d)
			}
		}
	}
}

func TestAHostileListStaysBounded(t *testing.T) {
	b := newBench(t, Config{})
	for wave := range 20 {
		names := make([]string, MaxHeld)
		for i := range names {
			names[i] = fmt.Sprintf("tcp@127.0.%d.1:%d", wave, i+1)
		}
		b.g.Listed(pairs(names, ""), "a", b.now)
		b.g.Listed(nil, "a", b.now)
		b.now = b.now.Add(time.Second)
		b.g.Tick(b.now)
		if h, l := len(b.g.held), len(b.g.lost); h > MaxHeld || l > MaxHeld {
			t.Fatalf("wave %d: %d held, %d remembered", wave, h, l)
		}
	}
}

func TestDisabledObeysAtOnce(t *testing.T) {
	b := newBench(t, Config{Disabled: true})
	s := b.servers(5)
	b.g.Remember(known(s, b.now), "a", true)
	b.list(s)
	b.list(nil)
	b.want("an empty list", nil)
	if b.g.Holding() || b.g.Pending() {
		t.Error("disabled, and yet it holds")
	}
}

// FuzzGuard drives a Guard through arbitrary histories and checks what it promises.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{0, 31, 2, 0, 0, 5, 1, 3, 200, 0, 31, 3, 255})
	f.Add([]byte{4, 15, 0, 1, 5, 9, 0, 0, 3, 255, 3, 255, 3, 255})
	f.Add([]byte{0, 255, 6, 1, 0, 3, 3, 3, 0, 255})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 400 {
			return
		}
		b := newBench(t, Config{Hold: time.Minute, Unprobed: 20 * time.Second})
		b.unaskable = func(key string) bool { return strings.HasSuffix(key, "8") }
		all := b.servers(8)
		var listed []string
		heldSince := map[string]time.Time{}
		check := func() {
			t.Helper()
			got := b.names()
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Fatalf("not sorted, or twice the same: %v", short(got))
			}
			for _, n := range listed {
				if !slices.Contains(got, n) {
					t.Fatalf("%s is listed by the registry and not in the list", n)
				}
			}
			held := b.g.Held()
			for _, n := range got {
				if !slices.Contains(held, n) && !slices.Contains(listed, n) && b.g.begun {
					t.Fatalf("%s is in the list, neither listed nor held", n)
				}
			}
			for _, key := range held {
				if heldSince[key].IsZero() {
					heldSince[key] = b.now
				}
				if !b.up[key] && b.now.Sub(heldSince[key]) > time.Minute+fileGrace+againAfter+2*retryAfter {
					t.Fatalf("%s does not answer and is held since %v", key, b.now.Sub(heldSince[key]))
				}
			}
			for key, at := range b.probes {
				if n := len(at); n > 1 && at[n-1].Sub(at[n-2]) < time.Second/2 {
					t.Fatalf("%s was probed twice within %v", key, at[n-1].Sub(at[n-2]))
				}
			}
			maps.DeleteFunc(heldSince, func(key string, _ time.Time) bool { return !slices.Contains(held, key) })
		}
		settle := func() {
			for range 8 {
				b.pass(time.Second / 4)
				check()
			}
		}
		for i := 0; i+1 < len(script); i += 2 {
			arg := script[i+1]
			switch script[i] % 7 {
			case 0, 1: // list
				listed = nil
				metadata := ""
				if script[i]&0x80 != 0 {
					metadata = "state=inactive"
				}
				for j, n := range all {
					if arg&(1<<j) != 0 {
						listed = append(listed, n)
					}
				}
				b.g.Listed(pairs(listed, metadata), b.lineage, b.now)
			case 2: // servers die and come back
				for j, n := range all {
					b.up[n] = arg&(1<<j) != 0
				}
				clear(heldSince)
			case 3:
				b.pass(time.Duration(arg) * time.Second / 4)
			case 4:
				b.g.Remember(known(all[:arg%8], time.Time{}), "a", arg&0x10 != 0)
			case 5:
				b.g.SetWindow(time.Duration(arg) * time.Second / 8)
				b.g.Suspect(b.now)
			case 6:
				b.lineage = string('a' + rune(arg%3))
			}
			check()
		}
		settle()
		// Nobody answers and nothing is listed any more: holds end, and the list is the registry's.
		clear(b.up)
		clear(heldSince)
		if b.g.begun {
			b.pass(2*time.Minute + fileGrace)
			b.want("in the end", listed)
		}
	})
}
