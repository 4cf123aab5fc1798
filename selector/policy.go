package selector

import "github.com/holdfast-go/holdfast/internal/words"

// Policy is how a server is chosen among those that can be used.
type Policy int

const (
	P2C                Policy = iota // the less loaded of two random ones, by peak-EWMA latency and calls in flight; the default
	WeightedRoundRobin               // in turn, as often as the weight says, evenly spread
	ConsistentHash                   // by the call's key, the same server in every process, unless it has too much to do
	Locality                         // near ones first (WithZone, WithPosition), and of those the less loaded of two
	Random                           // any, as often as the weight says
)

var policyNames = []string{"P2C", "WeightedRoundRobin", "ConsistentHash", "Locality", "Random"}

// String is the name of the constant.
func (p Policy) String() string { return words.Name(policyNames, "Policy", p) }

// MarshalText returns the name of the constant.
func (p Policy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText sets the policy that text names, as in a file of settings. An unknown name is an error.
func (p *Policy) UnmarshalText(text []byte) error { return words.Parse(policyNames, "policy", text, p) }
