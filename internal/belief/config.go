package belief

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// The defaults of Config.
const (
	DefaultShare    = 0.5
	DefaultHold     = 5 * time.Minute
	DefaultUnprobed = time.Minute
	DefaultWindow   = 30 * time.Second // expiries follow the timeouts of the servers' sessions, not those of the client's
)

// Bounds that are none of the user's business.
const (
	// MaxHeld bounds how many instances are held, and how many are remembered as lost. What is lost beyond that passes.
	MaxHeld = 10_000

	retryAfter = time.Second      // from a probe without an answer to the next
	maxRetry   = 10 * time.Second // doubling to this, where it proves nothing, or was none: this process could not ask
	againAfter = 10 * time.Second // from an answer to the next probe, doubling
	maxAgain   = 2 * time.Minute  // to this
	maxFails   = 2                // probes in a row without an answer, after which an instance is gone
	minAsked   = 2                // probes before a hold ends by itself …
	maxUnasked = time.Hour        // … or so much time in one piece, in which this process might have asked and could not
	spread     = time.Second / 2  // over which first probes are spread: every client of a service begins to probe at the same moment
)

// Config is what a Belief decides by. The zero value has the defaults.
type Config struct {
	Share    float64       // of the instances that must be lost within the window, and not made good, for suspicion, more than that: (0,1]
	Window   time.Duration // over which losses are counted; 0: as long as expiries trickle in, see Live
	Hold     time.Duration // how long an instance is held that does not answer
	Unprobed time.Duration // the same where it cannot be asked
	Obey     bool          // whatever is listed is believed at once: no guard

	// FileBy is until when the first list waits for Found: the file is the guard's memory over restarts.
	FileBy time.Time
	// Reached says that a probe has reached an instance of the service before there was this Belief: see Belief.Reached.
	Reached bool
	// MetadataOnce says that an instance's metadata are read when it comes, and that nobody tells of their changes. Then a list may be as new as one
	// from the file by its Zxid, and have older metadata: only Proof shows that it has not.
	MetadataOnce bool
	// Random returns a number in [0, n), for n above 0, to spread probes. The default is rand.Int64N.
	Random func(n int64) int64
}

// Validate says which value breaks which rule.
func (c Config) Validate() (mistakes []error) {
	if !(c.Share >= 0 && c.Share <= 1) { // NaN is neither
		mistakes = append(mistakes, fmt.Errorf("WithGuard: Share %v: must be in (0, 1]", c.Share))
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"Window", c.Window}, {"Hold", c.Hold}, {"HoldUnprobed", c.Unprobed}} {
		if d.value < 0 {
			mistakes = append(mistakes, fmt.Errorf("WithGuard: %s %v: must not be negative", d.field, d.value))
		}
	}
	return mistakes
}

func (c Config) withDefaults() Config {
	if c.Share == 0 {
		c.Share = DefaultShare
	}
	if c.Hold == 0 {
		c.Hold = DefaultHold
	}
	if c.Unprobed == 0 {
		c.Unprobed = DefaultUnprobed
	}
	if c.Random == nil {
		c.Random = rand.Int64N
	}
	return c
}

// jitter returns a duration in [0, d).
func (c Config) jitter(d time.Duration) time.Duration { return time.Duration(c.Random(int64(d))) }

// around is d, give or take a tenth.
func (c Config) around(d time.Duration) time.Duration { return d*9/10 + c.jitter(d/5) }
