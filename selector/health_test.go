package selector

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var usual = Ejection{}.withDefaults()

func TestStep(t *testing.T) {
	const now = int64(time.Hour)
	sec := func(s float64) int64 { return now + int64(s*1e9) }
	at := func(k kind) event { return event{kind: k, now: now, mayEject: true} }
	full, doubt := at(callFailed), at(probeSilent)
	full.mayEject, doubt.doubtful = false, true
	late := at(callFailed)
	late.roll = 0.5
	for _, c := range []struct {
		rule string
		was  health
		e    event
		want health
	}{
		{"a probe's answer is enough for a server of which nothing is known", health{}, at(probeAnswered), health{state: Up, since: now, probe: present}},
		{"a call's success is, too", health{failures: 3}, at(callSucceeded), health{state: Up, since: now}},
		{"no answer puts it aside", health{}, at(probeSilent), health{state: Aside, why: NoAnswer, dials: 1, since: now, until: sec(0.5), probe: silent}},
		{"no answer is not believed in doubt", health{}, doubt, health{state: Trial, since: now, probe: silent}},
		{"what cannot be probed is tried", health{}, at(probeUnable), health{state: Trial, since: now}},
		{"what is fresh is ejected as what is up", health{failures: 4}, at(callFailed), health{state: Ejected, why: CallsFailed, ejections: 1, since: now, until: sec(30)}},

		{"a success ends a run of failures", health{state: Up, failures: 4, since: 1}, at(callSucceeded), health{state: Up, since: 1}},
		{"the fourth failure ejects nobody", health{state: Up, failures: 3}, at(callFailed), health{state: Up, failures: 4}},
		{"the fifth does", health{state: Up, failures: 4, since: now}, late, health{state: Ejected, why: CallsFailed, ejections: 1, since: now, until: sec(31.5)}},
		{"but not when too many are out of use", health{state: Up, failures: 4}, full, health{state: Up, failures: 5}},
		{"a low rate ejects", health{state: Up, since: now}, at(rateLow), health{state: Ejected, why: Outlying, ejections: 1, since: now, until: sec(30)}},
		{"a low rate ejects only who is up", health{state: Trial}, at(rateLow), health{state: Trial}},
		{"a dial that fails puts aside at once", health{state: Up}, at(dialRefused), health{state: Aside, why: DialFailed, dials: 1, since: now, until: sec(0.5)}},
		{"a probe is late when a call has succeeded", health{state: Up, since: 1}, at(probeAnswered), health{state: Up, since: 1, probe: present}},

		{"the same dial told twice is one", health{state: Aside, dials: 1, until: sec(0.1)}, at(dialRefused), health{state: Aside, dials: 1, until: sec(0.1)}},
		{"a dial when its time is up is another", health{state: Aside, dials: 2, until: now}, at(dialRefused), health{state: Aside, why: DialFailed, dials: 3, since: now, until: sec(2)}},
		{"an answer gives it a trial", health{state: Aside, why: DialFailed, dials: 2, until: now, probe: silent}, at(probeAnswered), health{state: Trial, why: DialFailed, dials: 2, since: now, probe: present}},
		{"so it does after an ejection", health{state: Ejected, why: Outlying, ejections: 2}, at(probeAnswered), health{state: Trial, why: Outlying, ejections: 2, since: now, probe: present}},
		{"no answer after an ejection is a dial that failed", health{state: Ejected, ejections: 1}, at(probeSilent), health{state: Aside, why: NoAnswer, ejections: 1, dials: 1, since: now, until: sec(0.5), probe: silent}},
		{"a call that failed there in a panic is no news", health{state: Ejected, until: sec(9)}, at(callFailed), health{state: Ejected, until: sec(9)}},

		{"a trial that succeeds brings it back", health{state: Trial, why: DialFailed, dials: 5, ejections: 2}, at(callSucceeded), health{state: Up, ejections: 2, since: now}},
		{"one that fails does not", health{state: Trial, dials: 1}, at(callFailed), health{state: Ejected, why: CallsFailed, dials: 1, ejections: 1, since: now, until: sec(30)}},
		{"nor when too many are out of use: it is one of them", health{state: Trial, ejections: 1}, full, health{state: Ejected, why: CallsFailed, ejections: 2, since: now, until: sec(60)}},
		{"one that never failed may fail as often as one that is up", health{state: Trial}, at(callFailed), health{state: Trial, failures: 1}},
		{"a trial that cannot be dialled", health{state: Trial, dials: 1}, at(dialRefused), health{state: Aside, why: DialFailed, dials: 2, since: now, until: sec(1)}},

		{"time without an ejection is forgiven", health{state: Up, failures: 4, ejections: 5, since: now - int64(95*time.Second)}, at(callFailed), health{state: Ejected, why: CallsFailed, ejections: 3, since: now, until: sec(90)}},
		{"an ejection is five minutes at most", health{state: Up, failures: 4, ejections: 99, since: now}, late, health{state: Ejected, why: CallsFailed, ejections: 100, since: now, until: sec(300)}},
	} {
		if diff := cmp.Diff(c.want, c.was.step(c.e, &usual), cmp.AllowUnexported(health{})); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.rule, diff)
		}
	}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		n    int
		roll float64
		want time.Duration
	}{
		{1, 0, 500 * time.Millisecond},
		{1, 0.5, 750 * time.Millisecond},
		{2, 0, time.Second},
		{6, 0, 16 * time.Second},
		{7, 0, 30 * time.Second},
		{7, 0.5, 45 * time.Second},
		{100, 0, 30 * time.Second},
		{math.MaxInt, 0, 30 * time.Second},
	} {
		if got := backoff(c.n, c.roll, time.Second, time.Minute); got != c.want {
			t.Errorf("failure %d, roll %v: %v, want %v", c.n, c.roll, got, c.want)
		}
	}
}

// FuzzStep drives one server through random news. Its state never leaves the bounds that the options give.
func FuzzStep(f *testing.F) {
	f.Add(uint64(1), []byte{0, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6})
	f.Add(uint64(2), []byte{5, 5, 5, 5, 5, 5, 5, 5, 5, 4, 1, 0})
	f.Fuzz(func(t *testing.T, seed uint64, news []byte) {
		r := rand.New(rand.NewPCG(seed, 1))
		k := Ejection{Consecutive: 1 + r.IntN(6), Base: time.Duration(1 + r.Int64N(1e11)), DialBase: time.Duration(1 + r.Int64N(1e10)), Share: 1}
		k.Max, k.DialMax = k.Base+time.Duration(r.Int64N(1e12)), k.DialBase+time.Duration(r.Int64N(1e12))
		var h health
		now := int64(1)
		for _, b := range news {
			now += r.Int64N(1e10)
			e := event{kind: kind(b % 7), now: now, roll: r.Float64(), mayEject: b&8 != 0, doubtful: b&16 != 0}
			was := h
			h = h.step(e, &k)
			switch {
			case h.state > Trial:
				t.Fatalf("%+v after %+v", h, e)
			case h.failures < 0 || h.dials < 0 || h.ejections < 0 || h.since > now:
				t.Fatalf("%+v after %+v", h, e)
			case e.kind == callSucceeded && (h.state != Up || h.failures+h.dials > 0):
				t.Fatalf("a success left %+v", h)
			case h.state == Ejected && was.state == Up && !e.mayEject:
				t.Fatalf("ejected although too many are: %+v", h)
			case h.state == Ejected && was.state != Ejected && (h.until <= now || h.until > now+int64(k.Max)):
				t.Fatalf("ejected for %v, at most %v", h.until-now, k.Max)
			case h.state == Aside && (was.state != Aside || h.until != was.until) && (h.until < now || h.until > now+int64(k.DialMax)):
				t.Fatalf("aside for %v, at most %v", h.until-now, k.DialMax)
			case (h.state == Up || h.state == Trial || h.state == Fresh) && h.until != 0:
				t.Fatalf("waits for nothing: %+v", h)
			case h.state == Up && h.why != NoReason:
				t.Fatalf("up for a reason: %+v", h)
			case h.state == Up && was.state == Up && e.kind != callFailed && e.kind != callSucceeded && h != was && e.kind < probeAnswered && h.probe == was.probe:
				t.Fatalf("changed by %+v: %+v", e, h)
			}
		}
	})
}
