package scenario

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
)

// Plan is how much is measured.
type Plan struct {
	Name  string
	Sizes []int // instances of a service

	// SizeOfDubboGo is the largest for which dubbo-go is waited for: it reads every instance, one after the other, and more than once for every change.
	SizeOfDubboGo int
	// Patience is how long the round trips may take together in which rpcx-zookeeper reads every instance. Where they take longer it is not waited for, but
	// over the slow line, which is measured for that.
	Patience time.Duration

	RoundTrips []time.Duration // to ZooKeeper, besides what the machine itself takes
	Delayed    []int           // instances where the round trip is not 0
	Change     Efforts
	Warmup     int           // rounds before the first that counts, at most
	WarmBudget time.Duration // after which a contender warms up no more in a cell, but for one round
	WarmLimit  time.Duration // for warming ZooKeeper before everything
	WarmRounds int           // in a window of that
	Nevers     int           // how often in a row is waited in vain for a kind of change before it is given up
	OpenLimit  time.Duration // for a contender's first list

	StartSizes    []int // on the direct way; from afar it is Delayed
	Start         Efforts
	JavaStarts    int           // caches that a process of Curator's opens and closes at least before one counts
	StartLimit    time.Duration // where no answer is to be expected
	CostChanges   int           // of each kind
	Uses          Effort        // of the processor and memory, per change
	Many          Effort        // registrations of many services by one process
	Bursts        int
	BurstBudget   time.Duration // after which a contender other than this library does no more of them
	Rollings      int           // rolling replacements, one after the other
	BurstFollowed int           // lists that ended different, of each contender
	BurstWatched  time.Duration // how long they are
	OutageBefore  time.Duration
	OutageDuring  time.Duration
	OutageAfter   time.Duration
	OutageSession time.Duration
	Watchers      []int
	FanOutRounds  int
	Services      int // of ServiceSize instances each, on one connection
	ServiceSize   int
	ServiceRounds int
	Rest          time.Duration // how long a client is looked at that has nothing to do
	FileSizes     []int
	FileRounds    int
	Registrations int
	UpdateEvery   time.Duration // the register plugins' update interval
	SelectorsFor  time.Duration // under load, when half of the fleet has gone wrong
	Clients       int           // simulated, of ClientSize instances
	ClientSize    int
	ClientChanges int

	ScaleServices  []int // followed by one client, of ScaleSize instances each
	ScaleSize      int
	ScaleRounds    int
	ScaleRest      time.Duration
	ScaleInstances int   // of one service
	FarSizes       []int // instances, over the slow line
}

// Effort is how often a contender is measured in a cell: Least rounds however long they take, and more, Rounds at most, until Budget is spent.
type Effort struct {
	Least, Rounds int
	Budget        time.Duration
}

// enough reports whether a contender that has been waited for so long has done its rounds.
func (e Effort) enough(round int, spent time.Duration) bool {
	return round >= e.Rounds || round >= e.Least && spent > e.Budget
}

// Efforts are those of a scenario. A goal compares medians of the sizes in Compared, on the direct way: they are measured Closely, since the interval of
// their ratio is to be narrow.
type Efforts struct {
	Effort
	Compared []int
	Closely  Effort
}

func (e Efforts) in(c condition) Effort {
	if c.roundTrip == 0 && slices.Contains(e.Compared, c.n) {
		return e.Closely
	}
	return e.Effort
}

// Quick takes less than 3 minutes.
func Quick() Plan {
	return Plan{
		Name: "quick", Sizes: []int{10, 1_000}, SizeOfDubboGo: 100, Patience: time.Second, RoundTrips: []time.Duration{0, 2 * time.Millisecond}, Delayed: []int{10},
		Change: Efforts{Effort: Effort{Least: 1, Rounds: 10, Budget: time.Second}},
		Warmup: 3, WarmBudget: time.Second, WarmLimit: 10 * time.Second, WarmRounds: 10, Nevers: 1, OpenLimit: 30 * time.Second,
		StartSizes: []int{5_000}, Start: Efforts{Effort: Effort{Least: 1, Rounds: 4, Budget: time.Second}}, JavaStarts: 5, StartLimit: 4 * time.Second,
		CostChanges: 1, Uses: Effort{Least: 1, Rounds: 1, Budget: time.Second}, Many: Effort{Least: 1, Rounds: 3, Budget: 10 * time.Second},
		Bursts: 20, BurstBudget: time.Second, Rollings: 3, BurstFollowed: 1, BurstWatched: time.Second,
		OutageBefore: time.Second, OutageDuring: 3 * time.Second, OutageAfter: time.Second, OutageSession: 2 * time.Second,
		Watchers: []int{1, 1_000}, FanOutRounds: 5,
		Services: 10, ServiceSize: 50, ServiceRounds: 2, Rest: time.Second,
		FileSizes: []int{10, 1_000, 10_000}, FileRounds: 20,
		Registrations: 4, UpdateEvery: 2 * time.Second,
		SelectorsFor: 2 * time.Second,
		Clients:      20, ClientSize: 1_000, ClientChanges: 10,
		ScaleServices: []int{1, 10, 100}, ScaleSize: 130, ScaleRounds: 2, ScaleRest: time.Second, ScaleInstances: 20_000,
		FarSizes: []int{100},
	}
}

// Full takes about 25 minutes.
func Full() Plan {
	return Plan{
		Name: "full", Sizes: []int{10, 100, 1_000, 5_000}, SizeOfDubboGo: 1_000, Patience: 5 * time.Second,
		RoundTrips: []time.Duration{0, 2 * time.Millisecond, 10 * time.Millisecond}, Delayed: []int{10, 1_000},
		Change: Efforts{
			Effort: Effort{Least: 3, Rounds: 60, Budget: 5 * time.Second}, Compared: []int{1_000, 5_000},
			Closely: Effort{Least: 3, Rounds: 240, Budget: 5 * time.Second},
		},
		Warmup: 20, WarmBudget: 3 * time.Second, WarmLimit: time.Minute, WarmRounds: 20, Nevers: 3, OpenLimit: time.Minute,
		StartSizes: []int{10, 1_000, 5_000}, JavaStarts: 12, StartLimit: 10 * time.Second,
		Start: Efforts{
			Effort: Effort{Least: 3, Rounds: 12, Budget: 5 * time.Second}, Compared: []int{5_000},
			Closely: Effort{Least: 3, Rounds: 60, Budget: 25 * time.Second},
		},
		CostChanges: 5, Uses: Effort{Least: 3, Rounds: 8, Budget: 15 * time.Second}, Many: Effort{Least: 3, Rounds: 60, Budget: 15 * time.Second},
		Bursts: 700, BurstBudget: 10 * time.Second, Rollings: 20, BurstFollowed: 3, BurstWatched: 10 * time.Second,
		OutageBefore: 5 * time.Second, OutageDuring: 15 * time.Second, OutageAfter: 15 * time.Second, OutageSession: 4 * time.Second,
		Watchers: []int{1, 10, 100, 1_000, 10_000}, FanOutRounds: 20,
		Services: 200, ServiceSize: 50, ServiceRounds: 6, Rest: 30 * time.Second,
		FileSizes: []int{10, 100, 1_000, 10_000, 50_000}, FileRounds: 50,
		Registrations: 10, UpdateEvery: 10 * time.Second,
		SelectorsFor: 15 * time.Second,
		Clients:      1_000, ClientSize: 1_000, ClientChanges: 10,
		ScaleServices: []int{1, 10, 100, 1_000, 2_000}, ScaleSize: 130, ScaleRounds: 4, ScaleRest: 10 * time.Second, ScaleInstances: 50_000,
		FarSizes: []int{100, 1_000},
	}
}

// Tiny is for the test that the harness works: its figures mean nothing.
func Tiny() Plan {
	return Plan{
		Name: "tiny", Sizes: []int{10}, SizeOfDubboGo: 10, Patience: time.Second, RoundTrips: []time.Duration{0, 2 * time.Millisecond}, Delayed: []int{10},
		Change: Efforts{
			Effort: Effort{Least: 1, Rounds: 1, Budget: 500 * time.Millisecond}, Compared: []int{10},
			Closely: Effort{Least: 1, Rounds: 2, Budget: 500 * time.Millisecond},
		},
		Warmup: 1, WarmBudget: time.Second, WarmLimit: time.Millisecond, WarmRounds: 1, Nevers: 1, OpenLimit: 20 * time.Second,
		StartSizes: []int{10}, Start: Efforts{Effort: Effort{Least: 1, Rounds: 1, Budget: 500 * time.Millisecond}}, JavaStarts: 1, StartLimit: 4 * time.Second,
		CostChanges: 1, Uses: Effort{Least: 1, Rounds: 1, Budget: time.Second}, Many: Effort{Least: 1, Rounds: 1, Budget: time.Second},
		Bursts: 2, BurstBudget: time.Second, Rollings: 2, BurstFollowed: 1, BurstWatched: 100 * time.Millisecond,
		OutageBefore: 500 * time.Millisecond, OutageDuring: 2 * time.Second, OutageAfter: time.Second, OutageSession: time.Second,
		Watchers: []int{1, 10}, FanOutRounds: 1,
		Services: 3, ServiceSize: 5, ServiceRounds: 2, Rest: 200 * time.Millisecond,
		FileSizes: []int{10}, FileRounds: 2,
		Registrations: 1, UpdateEvery: 2 * time.Second,
		SelectorsFor: time.Second,
		Clients:      3, ClientSize: 10, ClientChanges: 2,
		ScaleServices: []int{1, 2}, ScaleSize: 5, ScaleRounds: 1, ScaleRest: 100 * time.Millisecond, ScaleInstances: 600,
		FarSizes: []int{10},
	}
}

// condition is a size and a way to ZooKeeper.
type condition struct {
	n         int
	roundTrip time.Duration
	far       bool // the line is slow and loses something, too
}

// isTooMuchFor says who is not waited for.
func (p Plan) isTooMuchFor(name string, c condition) bool {
	switch name {
	case contender.DubboGo:
		return c.roundTrip > 0 || c.n > p.SizeOfDubboGo
	case contender.Peer, contender.CacheDiscovery:
		return !c.far && time.Duration(c.n)*c.roundTrip > p.Patience
	}
	return false
}

// conditions are all sizes on the direct way, and those of Delayed on the longer ones.
func (p Plan) conditions() []condition { return p.conditionsOf(p.Sizes) }

func (p Plan) startConditions() []condition { return p.conditionsOf(p.StartSizes) }

func (p Plan) conditionsOf(direct []int) []condition {
	var cs []condition
	for _, rt := range p.RoundTrips {
		sizes := direct
		if rt > 0 {
			sizes = p.Delayed
		}
		for _, n := range sizes {
			cs = append(cs, condition{n: n, roundTrip: rt})
		}
	}
	return cs
}
