package weather

import (
	"math/rand/v2"
	"time"
)

// step is one thing that happens, after a pause. Its numbers say to whom and how, whatever has happened before.
type step struct {
	pause   time.Duration
	act     int
	a, b, c uint64
}

const (
	minFaults = 20
	minSteps  = 60
	minHours  = time.Hour
)

// planOf is what happens in the history of a seed.
func planOf(seed uint64) (steps []step) {
	r := rand.New(rand.NewPCG(seed, 0))
	total := 0
	for _, a := range acts {
		total += a.weight
	}
	faults, length := 0, time.Duration(0)
	add := func(act int, pause time.Duration) {
		steps = append(steps, step{pause, act, r.Uint64(), r.Uint64(), r.Uint64()})
		length += pause
		if acts[act].fault {
			faults++
		}
	}
	add(actNamed("many come"), 0)
	add(actNamed([]string{"process", "template"}[r.IntN(2)]), 0)
	add(actNamed("clone"), 0)
	add(actNamed("server"), 0)
	add(actNamed("register"), 0)
	add(actNamed([]string{"process", "template"}[r.IntN(2)]), 0)
	add(actNamed("clone"), 0)
	for faults < minFaults || len(steps) < minSteps || length < minHours {
		n, act := r.IntN(total), 0
		for ; n >= acts[act].weight; act++ {
			n -= acts[act].weight
		}
		add(act, pause(r))
		switch about := steps[len(steps)-1].b; acts[act].name {
		case allEnd: // for a night
			add(actNamed([]string{"process", "template"}[r.IntN(2)]), 5*time.Minute+time.Duration(r.Int64N(int64(30*time.Minute))))
			add(actNamed("process"), pause(r))
			add(actNamed("clone"), 0)
		case forSome: // those who had not looked at that service do so, when the others have saved what it is now
			add(actNamed([]string{"process", "template"}[r.IntN(2)]), pause(r))
			add(actNamed(allLook), 2*time.Second+pause(r)/8)
			steps[len(steps)-1].b = about
		}
	}
	return steps
}

func actNamed(name string) int {
	for i, a := range acts {
		if a.name == name {
			return i
		}
	}
	panic("no act is named " + name)
}

// pause is a random time: mostly none or little, sometimes more than sessions, backoffs and holds last.
func pause(r *rand.Rand) time.Duration {
	upTo := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
	switch n := r.IntN(20); {
	case n < 5:
		return 0
	case n < 8:
		return upTo(30 * time.Millisecond)
	case n < 12:
		return upTo(2 * time.Second)
	case n < 16:
		return upTo(30 * time.Second)
	case n < 19:
		return upTo(4 * time.Minute)
	default:
		return upTo(20 * time.Minute)
	}
}
