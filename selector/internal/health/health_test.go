package health

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var usual = Rules{Consecutive: 5, Base: 30_000, Max: 300_000, DialBase: 1000, DialMax: 60_000}

func TestStep(t *testing.T) {
	const now = int64(3_600_000)
	sec := func(s float64) int64 { return now + int64(s*1e3) }
	at := func(k Kind) Event { return Event{Kind: k, Now: now, MayEject: true} }
	full, doubt := at(Late), at(ProbeSilent)
	full.MayEject, doubt.Doubtful = false, true
	late := at(Late)
	late.Roll = 0.5
	for _, c := range []struct {
		rule string
		was  Health
		e    Event
		want Health
	}{
		{"a probe's answer is enough for a server of which nothing is known", Health{}, at(ProbeAnswered), Health{State: Up, Since: now, Probe: Present}},
		{"a call's success is, too", Health{Failures: 3}, at(Answered), Health{State: Up, Since: now}},
		{"no answer puts it aside", Health{}, at(ProbeSilent), Health{State: Aside, Why: NoAnswer, Dials: 1, Since: now, Until: sec(0.5), Probe: Silent}},
		{"nor where a call has been answered in spite of that", Health{Deaf: true}, at(ProbeSilent), Health{State: Trial, Since: now, Probe: Silent, Deaf: true}},
		{"no answer is not believed in doubt", Health{}, doubt, Health{State: Trial, Since: now, Probe: Silent}},
		{"what cannot be probed is tried", Health{}, at(ProbeUnable), Health{State: Trial, Since: now}},
		{"what is fresh is ejected as what is up", Health{Failures: 4}, at(Late), Health{State: Ejected, Why: CallsFailed, Ejections: 1, Since: now, Until: sec(30), Blamed: true}},

		{"a success ends a run of failures", Health{State: Up, Failures: 4, Since: 1}, at(Answered), Health{State: Up, Since: 1}},
		{"the fourth failure ejects nobody", Health{State: Up, Failures: 3}, at(Late), Health{State: Up, Failures: 4}},
		{"the fifth does", Health{State: Up, Failures: 4, Since: now}, late, Health{State: Ejected, Why: CallsFailed, Ejections: 1, Since: now, Until: sec(31.5), Blamed: true}},
		{"but not when too many are out of use", Health{State: Up, Failures: 4}, full, Health{State: Up, Failures: 5}},
		{"a low rate ejects", Health{State: Up, Since: now}, at(RateLow), Health{State: Ejected, Why: Outlying, Ejections: 1, Since: now, Until: sec(30), Blamed: true}},
		{"also one whose connection has just broken", Health{Why: ConnectionBroke, Since: now}, at(RateLow), Health{State: Ejected, Why: Outlying, Ejections: 1, Since: now, Until: sec(30), Blamed: true}},
		{"a low rate ejects only who is up", Health{State: Trial}, at(RateLow), Health{State: Trial}},
		{"a dial that fails puts aside at once", Health{State: Up}, at(Undialled), Health{State: Aside, Why: DialFailed, Dials: 1, Since: now, Until: sec(0.5), Blamed: true}},
		{"a probe is late when a call has succeeded", Health{State: Up, Since: 1}, at(ProbeAnswered), Health{State: Up, Since: 1, Probe: Present}},

		{"the same dial told twice is one", Health{State: Aside, Dials: 1, Until: sec(0.1)}, at(Undialled), Health{State: Aside, Dials: 1, Until: sec(0.1)}},
		{"a dial when its time is up is another", Health{State: Aside, Dials: 2, Until: now}, at(Undialled), Health{State: Aside, Why: DialFailed, Dials: 3, Since: now, Until: sec(2), Blamed: true}},
		{"an answer gives it a trial", Health{State: Aside, Why: DialFailed, Dials: 2, Until: now, Probe: Silent, Blamed: true}, at(ProbeAnswered), Health{State: Trial, Why: DialFailed, Dials: 2, Since: now, Probe: Present, Blamed: true}},
		{"unless only probes have missed it", Health{State: Aside, Why: NoAnswer, Dials: 2, Until: now, Probe: Silent}, at(ProbeAnswered), Health{State: Up, Since: now, Probe: Present}},
		{"so it does after an ejection", Health{State: Ejected, Why: Outlying, Ejections: 2, Blamed: true}, at(ProbeAnswered), Health{State: Trial, Why: Outlying, Ejections: 2, Since: now, Probe: Present, Blamed: true}},
		{"no answer after an ejection is a dial that failed", Health{State: Ejected, Ejections: 1}, at(ProbeSilent), Health{State: Aside, Why: NoAnswer, Ejections: 1, Dials: 1, Since: now, Until: sec(0.5), Probe: Silent}},
		{"a call that failed there in a panic is no news", Health{State: Ejected, Until: sec(9)}, at(Late), Health{State: Ejected, Until: sec(9)}},

		{"a trial that succeeds brings it back", Health{State: Trial, Why: DialFailed, Dials: 5, Ejections: 2}, at(Answered), Health{State: Up, Ejections: 2, Since: now}},
		{"one that fails does not", Health{State: Trial, Dials: 1, Blamed: true}, at(Late), Health{State: Ejected, Why: CallsFailed, Dials: 1, Ejections: 1, Since: now, Until: sec(30), Blamed: true}},
		{"nor when too many are out of use: it is one of them", Health{State: Trial, Why: Outlying, Ejections: 1, Blamed: true}, full, Health{State: Ejected, Why: CallsFailed, Ejections: 2, Since: now, Until: sec(60), Blamed: true}},
		{"unless it could not be dialled: then it is tried again", Health{State: Trial, Why: DialFailed, Blamed: true}, full, Health{State: Trial, Why: DialFailed, Failures: 1, Blamed: true}},
		{"one that never failed may fail as often as one that is up", Health{State: Trial}, at(Late), Health{State: Trial, Failures: 1}},
		{"a trial that cannot be dialled", Health{State: Trial, Dials: 1}, at(Undialled), Health{State: Aside, Why: DialFailed, Dials: 2, Since: now, Until: sec(1), Blamed: true}},

		{"a connection that breaks makes it be asked first, and is a failure", Health{State: Up, Failures: 1}, at(Broken), Health{State: Fresh, Why: ConnectionBroke, Failures: 2, Since: now, Counted: true}},
		{"the other calls on that connection are no more", Health{Why: ConnectionBroke, Failures: 2, Counted: true}, at(Broken), Health{Why: ConnectionBroke, Failures: 2, Counted: true}},
		{"so does one of which no call tells, and is none", Health{State: Up, Failures: 1}, at(ConnectionEnded), Health{State: Fresh, Why: ConnectionBroke, Failures: 1, Since: now}},
		{"which an answer ends, and forgets nothing", Health{State: Fresh, Why: ConnectionBroke, Failures: 2}, at(ProbeAnswered), Health{State: Up, Failures: 2, Since: now, Probe: Present}},
		{"the fifth connection that breaks ejects", Health{State: Up, Failures: 4, Since: now}, at(Broken), Health{State: Ejected, Why: CallsFailed, Ejections: 1, Since: now, Until: sec(30), Blamed: true}},
		{"a call answered where a probe was not makes it be asked again", Health{State: Trial, Probe: Silent}, at(Answered), Health{State: Up, Since: now, Probe: Silent}},
		{"until it is, further calls change nothing", Health{State: Up, Failures: 1, Probe: Silent}, at(Answered), Health{State: Up, Probe: Silent}},
		{"silence then is remembered", Health{State: Up, Since: 1, Probe: Silent}, at(ProbeSilent), Health{State: Up, Since: 1, Deaf: true}},
		{"an answer then is the end of it", Health{State: Up, Since: 1, Probe: Silent}, at(ProbeAnswered), Health{State: Up, Since: 1, Probe: Present}},
		{"nor is one asked again that is known for it", Health{State: Trial, Probe: Silent, Deaf: true}, at(Answered), Health{State: Up, Since: now, Deaf: true}},
		{"a request written is a connection made", Health{State: Trial, Why: DialFailed, Dials: 2, Blamed: true}, at(Written), Health{State: Up, Since: now}},
		{"but no call answered", Health{State: Trial, Why: CallsFailed, Blamed: true}, at(Written), Health{State: Trial, Why: CallsFailed, Blamed: true, Signs: 1}},
		{"though three are enough", Health{State: Trial, Why: CallsFailed, Blamed: true, Signs: 2}, at(Written), Health{State: Up, Since: now}},
		{"where nobody reports a trial ends at once", Health{State: Trial}, at(NobodyReports), Health{State: Up, Since: now}},
		{"another process is asked at once", Health{State: Ejected, Failures: 1, Ejections: 2, Until: sec(99)}, at(ProcessesChanged), Health{State: Ejected, Ejections: 2, Until: now}},

		{"time without an ejection is forgiven", Health{State: Up, Failures: 4, Ejections: 5, Since: now - 95_000}, at(Late), Health{State: Ejected, Why: CallsFailed, Ejections: 3, Since: now, Until: sec(90), Blamed: true}},
		{"an ejection is five minutes at most", Health{State: Up, Failures: 4, Ejections: 99, Since: now}, late, Health{State: Ejected, Why: CallsFailed, Ejections: 100, Since: now, Until: sec(300), Blamed: true}},
	} {
		if diff := cmp.Diff(c.want, c.was.Step(c.e, &usual)); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.rule, diff)
		}
	}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		n    int
		roll float64
		want int64
	}{
		{1, 0, 500}, {1, 0.5, 750}, {2, 0, 1000}, {6, 0, 16_000}, {7, 0, 30_000}, {7, 0.5, 45_000}, {100, 0, 30_000}, {math.MaxInt, 0, 30_000},
	} {
		if got := usual.Backoff(c.n, c.roll); got != c.want {
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
		k := Rules{Consecutive: 1 + r.IntN(6), Base: 1 + r.Int64N(1e5), DialBase: 1 + r.Int64N(1e4)}
		k.Max, k.DialMax = k.Base+r.Int64N(1e6), k.DialBase+r.Int64N(1e6)
		var h Health
		now := int64(1)
		for _, b := range news {
			now += r.Int64N(1e4)
			e := Event{Kind: Kind(int(b) % Kinds), Now: now, Roll: r.Float64(), MayEject: b&64 != 0, Doubtful: b&128 != 0}
			was := h
			h = h.Step(e, &k)
			switch {
			case h.State > Trial:
				t.Fatalf("%+v after %+v", h, e)
			case h.Failures < 0 || h.Dials < 0 || h.Ejections < 0 || h.Since > now:
				t.Fatalf("%+v after %+v", h, e)
			case e.Kind.Alive() && (h.State != Up || h.Failures+h.Dials > 0):
				t.Fatalf("a success left %+v", h)
			case h.State == Ejected && was.State == Up && !e.MayEject:
				t.Fatalf("ejected although too many are: %+v", h)
			case h.State == Ejected && was.State != Ejected && (h.Until <= now || h.Until > now+k.Max):
				t.Fatalf("ejected for %v, at most %v", h.Until-now, k.Max)
			case h.State == Aside && (was.State != Aside || h.Until != was.Until) && (h.Until < now || h.Until > now+k.DialMax):
				t.Fatalf("aside for %v, at most %v", h.Until-now, k.DialMax)
			case (h.State == Up || h.State == Trial || h.State == Fresh) && h.Until != 0:
				t.Fatalf("waits for nothing: %+v", h)
			case h.State == Up && h.Why != NoReason:
				t.Fatalf("up for a reason: %+v", h)
			case h.State == Up && was.State == Up && e.Kind != Late && !e.Kind.Alive() && h != was && e.Kind < ProbeAnswered && h.Probe == was.Probe:
				t.Fatalf("changed by %+v: %+v", e, h)
			}
		}
	})
}
