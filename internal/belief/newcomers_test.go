package belief

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The rules for who comes in the place of the lost, one by one.

// A rolling deployment in which every instance gets a new address, done twice within the window, ended with dead instances held: losses were
// counted, and nobody who had come in their place.
func TestAFleetThatIsReplacedAgainAndAgainIsNoLoss(t *testing.T) {
	for name, deploy := range map[string]func(from, to []string, list func(...[]string)){
		"in one list": func(_, to []string, list func(...[]string)) { list(to) },
		"the new first, as a whole": func(from, to []string, list func(...[]string)) {
			list(from, to)
			list(to)
		},
		"the new first, as a whole, the old one by one": func(from, to []string, list func(...[]string)) {
			for i := range from {
				list(from[i:], to)
			}
			list(to)
		},
		"the new first, one by one": func(from, to []string, list func(...[]string)) {
			for i := range from {
				list(from[i:], to[:i+1])
				list(from[i+1:], to[:i+1])
			}
		},
		"the old first, one by one": func(from, to []string, list func(...[]string)) {
			for i := range from {
				list(from[i+1:], to[:i])
				list(from[i+1:], to[:i+1])
			}
		},
		"the old first, by halves": func(from, to []string, list func(...[]string)) {
			half := len(from) / 2
			for i := 0; i < len(from); i += half {
				next := min(i+half, len(from))
				list(from[next:], to[:i])
				list(from[next:], to[:next])
			}
		},
	} {
		for _, n := range []int{1, 2, 3, 12} {
			if n == 1 && strings.HasPrefix(name, "the old first") {
				continue // that is the loss of the last
			}
			t.Run(fmt.Sprintf("%s, %d", name, n), func(t *testing.T) {
				const rounds = 4
				b := newBench(t, Config{Window: time.Hour})
				s := b.servers((rounds + 1) * n) // all answer: whoever is held is held for good
				b.list(s[:n])
				for i := range rounds {
					deploy(s[i*n:(i+1)*n], s[(i+1)*n:(i+2)*n], func(parts ...[]string) {
						t.Helper()
						b.pass(time.Second)
						b.list(slices.Concat(parts...))
						b.want(fmt.Sprintf("round %d", i+1), slices.Concat(parts...))
					})
				}
			})
		}
	}
}

func TestALossAfterADeploymentIsHeldWithoutTheDeploymentsDead(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(24)
	b.list(s[:12])
	for i := range 12 {
		b.list(slices.Concat(s[i+1:12], s[12:12+i]))
		b.list(slices.Concat(s[i+1:12], s[12:12+i+1]))
	}
	b.list(nil)
	b.want("the registry lists nobody", s[12:])
}

// Sessions that outlast ours expire one by one after an outage, when the window after our reconnect is over; some servers are back already, and
// others are new.
func TestALossThatTricklesInIsSeenThoughSomeAreBackAndOthersCome(t *testing.T) {
	b := newBench(t, Config{Window: 10 * time.Second})
	s := b.servers(22)
	b.list(s[:20])
	for _, list := range [][]string{
		s[1:20], s[3:20], s[2:20], s[:20], // three have expired, and are back
		s[2:20], s[5:20], s[5:21], s[8:21], s[8:22], // eight have expired, two are new
	} {
		b.pass(time.Second)
		b.list(list)
		b.want("few are missing", list)
	}
	for i := 9; i <= 20; i++ {
		b.list(s[i:])
	}
	b.want("but for the two in whose place others are", s[2:])
}

func TestANewcomerMakesGoodTheOldestLoss(t *testing.T) {
	b := newBench(t, Config{Window: 10 * time.Second})
	s := b.servers(11)
	b.list(s[:10])
	b.list(s[1:10])
	b.pass(8 * time.Second)
	b.list(s[2:10])
	b.list(s[2:])
	b.pass(3 * time.Second)
	b.list(s[7:])
	b.want("six of ten", s[1:])
}

func TestWhoComesExcusesNoMoreThanItsLike(t *testing.T) {
	for name, rule := range map[string]struct {
		comes int // of newcomers, to a fleet of twenty that all go at the same time
		held  int
	}{
		"fewer than half": {9, 20}, "half": {10, 0}, "more than there were": {21, 0},
	} {
		b := newBench(t, Config{})
		s := b.servers(41)
		b.list(s[:20])
		b.list(s[20 : 20+rule.comes])
		if n := len(b.b.Shown().Held); n != rule.held {
			t.Errorf("%s: %d are held, want %d", name, n, rule.held)
		}
	}
}

func TestWhoCameBeforeALossExcusesNobody(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(30)
	b.list(s[:10])
	b.list(s)
	b.list(s[15:])
	b.want("half of thirty", s[15:])
	b.list(s[16:])
	b.want("one more", s)
}

func TestNewcomersExcuseNoLossWhoseTimeHasPassed(t *testing.T) {
	b := newBench(t, Config{Window: 10 * time.Second})
	s := b.servers(24)
	b.list(s[:20])
	b.list(s[4:20])
	b.pass(11 * time.Second)
	b.list(s[4:]) // four newcomers, to sixteen: that is twenty again
	b.list(s[14:])
	b.want("ten of twenty", s[14:])
	b.list(s[15:])
	b.want("eleven of twenty", s[4:])
}

func TestWhoIsBackIsNoNewcomer(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(20)
	b.list(s)
	b.list(s[6:])
	b.list(s[3:]) // three of the six are back
	b.list(s[11:])
	b.want("eleven of twenty", s)

	b = newBench(t, Config{Window: time.Minute})
	b.servers(20)
	b.list(s)
	b.list(s[9:])
	b.reconnect()
	b.list(s[10:]) // and all ten are held
	b.wantHeld(10)
	b.pass(90 * time.Second)
	b.list(s[11:]) // one more, which passes
	b.wantHeld(11)
}

func TestNewcomersExcuseNobodyWhoIsHeld(t *testing.T) {
	b := newBench(t, Config{})
	s := b.servers(6)
	b.list(s[:4])
	b.list(s[3:4])
	b.wantHeld(3)
	b.list(s[4:]) // two for the one that goes, none for those that are held
	b.want("three are held, and one more is gone", s)
}

func TestNobodyIsExcusedWhenEveryRemovalIsInDoubt(t *testing.T) {
	for name, doubt := range map[string]func(*bench){
		"after a reconnect":  func(b *bench) { b.reconnect() },
		"in another lineage": func(b *bench) { b.lineage = "b" },
	} {
		b := newBench(t, Config{})
		s := b.servers(40)
		b.list(s[:20])
		doubt(b)
		b.list(s[18:])
		b.want(name+", twenty come and eighteen go", s)
	}
}

func TestANewcomerCountsFromWhenItIsActive(t *testing.T) {
	b := newBench(t, Config{Window: time.Hour})
	s := b.servers(16)
	b.list(s[:4])
	for i := 4; i < 16; i += 4 { // the new are told to wait until all are there
		b.listed(append(pairs(s[i-4:i], ""), pairs(s[i:i+4], "state=inactive")...))
		b.list(s[i-4 : i+4])
		b.list(s[i : i+4])
		b.want("the old are gone", s[i:i+4])
	}

	b = newBench(t, Config{})
	b.list(s[:6])
	b.list(s[3:6])
	b.listed(append(pairs(s[4:6], ""), pairs(s[6:9], "state=inactive")...))
	b.want("four of six, and nobody active has come", s[:9])
}
