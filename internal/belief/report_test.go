package belief

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/probe"
)

func (b *bench) report() Report {
	b.Helper()
	r, ok := b.b.Report(b.now)
	if news := r.Began || r.Ended || len(r.Gone) > 0 || r.Unreached != nil; ok != news {
		b.Fatalf("to be told %v: %+v", ok, r)
	}
	return r
}

func (r Report) gone() (keys []string) {
	for _, g := range r.Gone {
		keys = append(keys, g.Key)
	}
	slices.Sort(keys)
	return keys
}

func TestAPersonIsToldWhenHoldingBeginsWhoIsLetGoAndWhenItEnds(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(6)
	b.list(s)
	if r := b.report(); r.Began || r.Ended || r.Listed != 6 {
		t.Errorf("all is well: %+v", r)
	}
	b.up[s[0]], b.up[s[1]] = false, false
	b.list(s[5:])
	if r := b.report(); !r.Began || r.Ended || r.Held != 5 || r.Listed != 1 || r.NewHistory || len(r.Gone) > 0 {
		t.Errorf("five of six are gone: %+v", r)
	}
	began := b.now
	if r := b.report(); r.Began || r.Held != 5 {
		t.Errorf("told again: %+v", r)
	}
	b.pass(time.Minute)
	r := b.report()
	if r.Ended || r.Held != 3 || !slices.Equal(r.gone(), s[:2]) || !errors.Is(r.Gone[0].Err, errSilent) || !errors.Is(r.Gone[1].Err, errSilent) {
		t.Errorf("two do not answer: %+v", r)
	}
	if r := b.report(); len(r.Gone) > 0 {
		t.Errorf("told again: %+v", r)
	}
	b.list(s[2:])
	if r := b.report(); !r.Ended || r.Most != 5 || r.For != b.now.Sub(began) || r.Held != 0 || r.Listed != 4 || len(r.Gone) > 0 {
		t.Errorf("the others are listed again: %+v", r)
	}
	b.list(nil)
	if r := b.report(); !r.Began || r.Held != 4 {
		t.Errorf("the next time: %+v", r)
	}
	b.list(s[2:])
	if r := b.report(); !r.Ended || r.Most != 4 {
		t.Errorf("the next end: %+v", r)
	}
}

func TestWhatOnlyTheFileKnewIsNotToldAsLetGo(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(4)
	b.up[s[0]] = false
	b.remembers(s, time.Time{}, false)
	b.hear(nil)
	if r := b.report(); r.Began {
		t.Errorf("nobody was in the list: %+v", r)
	}
	b.pass(time.Minute)
	if r := b.report(); !r.Began || r.Held != 3 || len(r.Gone) > 0 {
		t.Errorf("three have answered: %+v", r)
	}
}

func TestAnInstanceThatCannotBeAskedIsLetGoWithoutAnError(t *testing.T) {
	b := newcomer(t, Config{})
	b.unaskable = func(string) bool { return true }
	s := b.servers(2)
	b.list(s)
	b.pass(time.Hour)
	b.list(nil)
	b.pass(DefaultUnprobed)
	if r := b.report(); !r.Ended && !slices.Equal(r.gone(), s) || r.Gone[0].Err != nil || r.Unreached != nil {
		t.Errorf("%+v", r)
	}
}

// TLS servers, and no Guard.TLS: after a wipe three healthy servers were dropped in 1.4 s, and the log said only that nobody is held any more.
func TestAPersonIsToldOnceThatTheProbeReachesNobody(t *testing.T) {
	for name, rule := range map[string]struct {
		calm time.Duration // before the loss
		when string
	}{
		"in good times, after the second trial": {time.Hour, "calm"},
		"when holding begins, after one trial":  {time.Minute, "began"},
		"when the first are let go":             {0, "gone"},
	} {
		b := newcomer(t, Config{})
		s := b.servers(3)
		clear(b.up)
		b.hear(pairs(s, ""))
		b.pass(rule.calm)
		var told []string
		look := func(when string) {
			t.Helper()
			if r := b.report(); r.Unreached != nil {
				if told = append(told, when); !errors.Is(r.Unreached, errSilent) {
					t.Errorf("%s: %v", name, r.Unreached)
				}
			}
		}
		look("calm")
		b.hear(nil)
		look("began")
		b.pass(DefaultUnprobed - time.Second)
		b.wantHeld(3)
		look("held")
		b.pass(maxRetry + time.Second)
		b.wantHeld(0)
		look("gone")
		b.list(s)
		b.pass(48 * time.Hour)
		look("later")
		if !slices.Equal(told, []string{rule.when}) {
			t.Errorf("%s: told %v", name, told)
		}
	}
}

func TestAProbeIsTriedInGoodTimesUntilItHasReachedAnInstance(t *testing.T) {
	b := newcomer(t, Config{})
	b.hear(nil)
	b.pass(time.Hour)
	if len(b.trials) > 0 {
		t.Fatal("tried without an instance")
	}
	clear(b.up)
	s := b.servers(3)
	clear(b.up)
	b.list(s)
	began := b.now
	b.pass(5 * 24 * time.Hour)
	var at []time.Duration
	for i, trial := range b.trials {
		if i == 0 {
			if first := trial.Sub(began); first > firstTrial {
				t.Errorf("first tried after %v", first)
			}
			continue
		}
		at = append(at, trial.Sub(b.trials[i-1]))
	}
	want := []time.Duration{trialAgain, 2 * trialAgain, 4 * trialAgain, 8 * trialAgain, 16 * trialAgain, 32 * trialAgain, 64 * trialAgain, maxTrial, maxTrial, maxTrial}
	if !slices.Equal(at, want) {
		t.Errorf("after failures it is tried again after %v", at)
	}
	b.servers(3)
	b.pass(maxTrial)
	n := len(b.trials)
	b.pass(5 * maxTrial)
	if !b.b.Reached() || len(b.trials) != n || !b.b.Wake().IsZero() {
		t.Errorf("reached %v, %d trials after that, to be woken at %v", b.b.Reached(), len(b.trials)-n, b.b.Wake())
	}
	if len(b.probes) > 0 {
		t.Errorf("a trial counts as a probe of a held one: %v", b.probes)
	}
}

func TestATrialThatSaysNothingIsMadeAgainSoonAndIsNoFailure(t *testing.T) {
	for name, rule := range map[string]struct {
		answer probe.Answer
		every  time.Duration
	}{
		"this process cannot ask":       {probe.CouldNotAsk, trialLater},
		"the network has no probe":      {probe.Unaskable, trialAgain},
		"the instance is about to go":   {probe.Alive, trialLater},
		"the registry went meanwhile":   {probe.Silent, trialLater},
		"an instance that does not say": {probe.Silent, trialAgain},
	} {
		b := newcomer(t, Config{})
		s := b.servers(1)
		l := pairs(s, "")
		if rule.answer == probe.Alive {
			l = pairs(s, "state=inactive")
		}
		b.hear(l)
		b.b.Asks(b.now)
		b.now = b.now.Add(firstTrial)
		asks := b.b.Asks(b.now)
		if rule.answer != probe.Alive {
			if len(asks) != 1 || !asks[0].Trial || len(b.b.Asks(b.now)) > 0 || !b.b.Wake().IsZero() {
				t.Fatalf("%s: %v are asked", name, asks)
			}
			if name == "the registry went meanwhile" {
				b.b.Away(b.now)
			}
			b.b.Probed(asks[0], Outcome{Answer: rule.answer, Err: errBusy}, b.now)
		} else if len(asks) > 0 {
			t.Fatalf("%s: %v are asked", name, asks)
		}
		b.back()
		if at := b.b.Wake(); !at.Equal(b.now.Add(rule.every)) {
			t.Errorf("%s: tried again %v later, want %v", name, at.Sub(b.now), rule.every)
		}
		if failed := b.b.reach.failed > 0; failed != (name == "an instance that does not say") || b.b.Reached() {
			t.Errorf("%s: a failure: %v, reached %v", name, failed, b.b.Reached())
		}
		b.b.guard.listed = nil
		if at := b.b.Wake(); !at.IsZero() {
			t.Errorf("%s: nobody is listed, and it is to be woken at %v", name, at)
		}
	}
}

func TestNothingIsTriedWhileTheRegistryIsAwayOrThereIsNoGuard(t *testing.T) {
	for name, b := range map[string]*bench{"away": newcomer(t, Config{}), "no guard": newcomer(t, Config{Obey: true})} {
		b.busy = func(string) bool { return true }
		s := b.servers(3)
		b.hear(pairs(s, ""))
		if name == "away" {
			b.b.Away(b.now)
		}
		b.pass(time.Hour - time.Second)
		if len(b.trials) > 0 {
			t.Errorf("%s: tried at %v", name, b.trials)
		}
	}
}

// A process that has just started sees 18 of 20 servers die: the two that are left tell that its probe is right.
func TestAListedOneIsAskedBesideThoseThatAreHeldWhenNobodyWasAskedBefore(t *testing.T) {
	b := newcomer(t, Config{})
	s := b.servers(20)
	b.b.Listed(b.listing(pairs(s, "")), b.now) // and no time for a trial
	for _, dead := range s[2:] {
		b.up[dead] = false
	}
	b.hear(pairs(s[:2], ""))
	b.pass(5 * time.Second)
	b.want("the dead are gone", s[:2])
	if len(b.trials) != 1 {
		t.Errorf("%d trials", len(b.trials))
	}

	b = newcomer(t, Config{})
	b.hear(pairs(s, ""))
	clear(b.up)
	b.hear(pairs(s[:2], ""))
	b.pass(30 * time.Second)
	b.want("the probe reaches none of them, listed or not", s)
	if n := len(b.trials); n != 1 {
		t.Errorf("%d trials while they are held", n)
	}
}

func TestSilenceProvesNothingBeforeTheProbeHasReachedAnInstance(t *testing.T) {
	b := newcomer(t, Config{})
	s := b.servers(4)
	clear(b.up)
	b.list(s)
	b.list(nil)
	b.pass(DefaultUnprobed - time.Second)
	b.want("nobody has ever answered", s)
	b.pass(maxRetry)
	b.want("after the time of those without a probe", nil)

	b = newcomer(t, Config{})
	b.list(s)
	b.list(nil)
	b.pass(20 * time.Second)
	b.want("nobody has ever answered", s)
	b.up[s[0]] = true
	b.pass(2*maxRetry + retryAfter)
	b.want("one answers: the silence of the others proves something", s[:1])
}

func TestAProbeThatCouldNotAskLetsNobodyGo(t *testing.T) {
	b := newBench(t, Config{})
	b.busy = func(string) bool { return true }
	s := b.servers(1000)
	clear(b.up)
	b.list(s)
	b.list(nil)
	b.pass(maxUnasked - time.Second)
	b.want("no descriptors for an hour", s)
	if n := len(b.probes[s[0]]); n < 300 || n > 400 {
		t.Errorf("tried %d times in an hour", n)
	}
	b.pass(time.Second)
	b.want("after an hour", nil)
	if r := b.report(); len(r.Gone) != len(s) || !errors.Is(r.Gone[0].Err, errBusy) {
		t.Errorf("%d are let go: %v", len(r.Gone), r.Gone[0].Err)
	}
}

func TestAnAnsweringInstanceIsAskedLessAndLessOften(t *testing.T) {
	for _, edge := range []int64{0, 1} { // of the jitter
		b := newBench(t, Config{Random: func(n int64) int64 { return edge * (n - 1) }})
		s := b.servers(1)
		b.list(s)
		b.list(nil)
		b.pass(time.Hour)
		want := againAfter
		at := b.probes[s[0]]
		for i := 1; i < len(at); i++ {
			got := at[i].Sub(at[i-1])
			if edge := want * time.Duration(9+2*edge) / 10; got < edge-1 || got > edge {
				t.Fatalf("probe %d after %v, want %v", i, got, edge)
			}
			want = min(2*want, maxAgain)
		}
	}
}
