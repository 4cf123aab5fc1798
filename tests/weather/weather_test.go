package weather

import (
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallnest/rpcx/log"
)

var (
	oneSeed   = flag.Uint64("weather.seed", 0, "play only the history of this seed, and show it")
	howMany   = flag.Int("weather.seeds", envInt("HOLDFAST_WEATHER_SEEDS", 0), "so many fresh seeds, counted from weather.from; 0: the fixed ones")
	fromSeed  = flag.Uint64("weather.from", 0, "the first of the fresh seeds; 0: a random one")
	onlyCheck = flag.String("weather.check", "", "shrink only histories in which this check fails")
	shrinkFor = flag.Duration("weather.shrink", 20*time.Second, "how long a failing history is shortened; below 0: it is not played again")
	enough    = flag.Int("weather.failures", 3, "stop after so many failing seeds")
)

const fixedSeeds = 120

// scratch is where the disks of all histories are: in memory where that is possible, or each fsync would take milliseconds.
var scratch string

func envInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		parent := "/dev/shm"
		if _, err := os.Stat(parent); err != nil {
			parent = ""
		}
		dir, err := os.MkdirTemp(parent, "holdfast-weather-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		scratch = dir
		defer func() { _ = os.RemoveAll(dir) }()
		for name, sub := range map[string]string{"XDG_CACHE_HOME": "home", "HOME": "home"} {
			if err := os.Setenv(name, filepath.Join(dir, sub)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		log.SetDummyLogger() // rpcx's
		slog.SetDefault(slog.New(slog.DiscardHandler))
		debug.SetGCPercent(400) // a history is a few megabytes
		return m.Run()
	}())
}

// TestWeather plays histories. See the package's documentation.
func TestWeather(t *testing.T) {
	var seeds []uint64
	switch {
	case *oneSeed != 0:
		seeds = []uint64{*oneSeed}
	case *howMany > 0:
		first := *fromSeed
		if first == 0 {
			first = rand.Uint64N(1<<40) + 1
		}
		fmt.Printf("weather: seeds %d to %d\n", first, first+uint64(*howMany)-1)
		for i := range *howMany {
			seeds = append(seeds, first+uint64(i))
		}
	default:
		n := fixedSeeds
		if testing.Short() || raceDetector {
			n = 12
		}
		for i := range n {
			seeds = append(seeds, uint64(i+1))
		}
	}
	var c census
	t.Cleanup(func() { c.print(*howMany > 0 || testing.Verbose()) }) // when the players have ended
	next := make(chan uint64)
	for i := range 2 {
		t.Run(fmt.Sprint("player ", i), func(t *testing.T) {
			t.Parallel()
			for seed := range next {
				r := play(t, seed, planOf(seed), *oneSeed != 0)
				c.add(r)
				if *oneSeed != 0 && (testing.Verbose() || len(r.violations) > 0) {
					t.Log("\n" + strings.Join(r.history, "\n"))
				}
				if len(r.violations) > 0 {
					report(t, seed, r)
				}
			}
		})
	}
	go func() {
		defer close(next)
		for _, seed := range seeds {
			if c.failures() >= *enough {
				return
			}
			next <- seed
		}
	}()
}

// report shortens a history that fails, and shows what is left.
func report(t *testing.T, seed uint64, r *run) {
	t.Helper()
	check := r.violations[0].check
	fmt.Printf("weather: seed %d: %s\n", seed, r.violations[0]) // at once: the test tells in the end
	t.Errorf("seed %d: %s", seed, r.violations[0])
	for _, v := range r.violations[1:min(4, len(r.violations))] {
		t.Logf("seed %d: also %s", seed, v)
	}
	if *shrinkFor < 0 || *onlyCheck != "" && *onlyCheck != check {
		return
	}
	steps, short := shrink(t, seed, planOf(seed), check, *shrinkFor)
	if short == nil {
		t.Logf("seed %d: it did not fail again", seed)
		short = r
	}
	name := filepath.Join(t.ArtifactDir(), fmt.Sprintf("weather-%d.txt", seed))
	text := strings.Join(short.history, "\n")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Error(err)
	}
	if lines := short.history; len(lines) > 120 {
		text = strings.Join(slices.Concat(lines[:20], []string{"…"}, lines[len(lines)-100:]), "\n")
	}
	t.Logf("go test ./tests/weather -run TestWeather -weather.seed %d -v; %d of %d steps are enough:\n%s\nthe whole of it: %s",
		seed, len(steps), len(planOf(seed)), text, name)
}

// shrink leaves steps out while the check goes on failing, for a while. It returns the shortest history, nil if none failed again.
func shrink(t *testing.T, seed uint64, steps []step, check string, limit time.Duration) ([]step, *run) {
	t.Helper()
	end := time.Now().Add(limit)
	fails := func(steps []step) *run {
		for range 2 {
			if r := play(t, seed, steps, true); slices.ContainsFunc(r.violations, func(v violation) bool { return v.check == check }) {
				return r
			}
		}
		return nil
	}
	best := fails(steps)
	if best == nil {
		return steps, nil
	}
	for size := len(steps) / 2; size > 0; size /= 2 {
		for at := 0; at < len(steps) && time.Now().Before(end); {
			to := min(at+size, len(steps))
			fewer := slices.Concat(steps[:at], steps[to:])
			if to < len(steps) { // time goes by as before
				pause := time.Duration(0)
				for _, s := range steps[at:to] {
					pause += s.pause
				}
				fewer[at].pause += pause
			}
			if r := fails(fewer); r != nil {
				steps, best = fewer, r
			} else {
				at = to
			}
		}
	}
	return steps, best
}

// census counts what was there.
type census struct {
	mu        sync.Mutex
	seeds     map[string]int // in so many histories
	runs      int
	failed    int
	simulated time.Duration
	states    int
	began     time.Time
}

func (c *census) add(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seeds == nil {
		c.seeds, c.began = make(map[string]int), time.Now()
	}
	c.runs++
	c.simulated += r.length
	c.states += r.record.commits
	if len(r.violations) > 0 {
		c.failed++
	}
	for what := range r.counts {
		c.seeds[what]++
	}
	if c.runs%500 == 0 {
		fmt.Printf("weather: %d histories, %d failed\n", c.runs, c.failed)
	}
}

func (c *census) failures() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *census) print(all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Printf("weather: %d histories, %d failed, %.2f simulated years, %d transactions, in %v\n",
		c.runs, c.failed, c.simulated.Hours()/24/365, c.states, time.Since(c.began).Round(time.Second))
	if !all {
		return
	}
	for _, what := range slices.Sorted(maps.Keys(c.seeds)) {
		fmt.Printf("weather: %6d  %s\n", c.seeds[what], what)
	}
}
