package selector

import (
	"cmp"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// Ejection configures what happens to servers that fail. A zero field has its default.
type Ejection struct {
	// Consecutive is after how many failed calls in a row a server is ejected: broken connections, and answers that did not come in time. Errors
	// that the service returned are successes of the server. The default is 5.
	Consecutive int
	// Base is how long the first ejection lasts. Each further one lasts longer by Base, up to Max. Each Base without an ejection takes one off again.
	// The defaults are 30 s and 5 min.
	Base, Max time.Duration
	// DialBase is how long a server is put aside when it cannot be connected: half of it to the whole, at random. Each further failure doubles it, up to
	// DialMax. The defaults are 1 s and 60 s.
	DialBase, DialMax time.Duration
	// Share of the servers that may be out of use because they failed, in (0, 1]; the default is 0.5. When more fail, the ejected ones are used
	// again: then the evidence is bad, not the servers. Servers that could not be reached stay out of use.
	// While the list is not live (WithLive), half as many are ejected.
	Share float64
}

func (e Ejection) withDefaults() Ejection {
	return Ejection{
		Consecutive: cmp.Or(e.Consecutive, 5),
		Base:        cmp.Or(e.Base, 30*time.Second),
		Max:         cmp.Or(e.Max, 5*time.Minute),
		DialBase:    cmp.Or(e.DialBase, time.Second),
		DialMax:     cmp.Or(e.DialMax, time.Minute),
		Share:       cmp.Or(e.Share, 0.5),
	}
}

// rules are the options in the clock's milliseconds.
func (e Ejection) rules() health.Rules {
	ms := func(d time.Duration) int64 { return max(1, d.Milliseconds()) }
	return health.Rules{Consecutive: e.Consecutive, Base: ms(e.Base), Max: ms(e.Max), DialBase: ms(e.DialBase), DialMax: ms(e.DialMax)}
}

func (e Ejection) check() error {
	full := e.withDefaults()
	span := func(field string, d time.Duration, limit string, most time.Duration) error {
		return cmp.Or(
			mistake(d < 0, "WithEjection: %s %v: must not be negative", field, d),
			mistake(most < 0, "WithEjection: %s %v: must not be negative", limit, most),
			mistake(d > most, "WithEjection: %s %v: must not be above %s, %v", field, d, limit, most),
		)
	}
	return errors.Join(
		mistake(e.Consecutive < 0, "WithEjection: Consecutive %d: must not be negative", e.Consecutive),
		mistake(!(e.Share >= 0 && e.Share <= 1), "WithEjection: Share %v: must be in (0, 1]", e.Share), // NaN is neither
		span("Base", full.Base, "Max", full.Max),
		span("DialBase", full.DialBase, "DialMax", full.DialMax),
	)
}
