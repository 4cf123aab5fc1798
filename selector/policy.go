package selector

import "strconv"

// Policy is how a server is chosen among those that can be used.
type Policy int

const (
	P2C                Policy = iota // the less loaded of two random ones, by peak-EWMA latency and calls in flight; the default
	WeightedRoundRobin               // in turn, as often as the weight says, evenly spread
	ConsistentHash                   // by the call's key, the same server in every process, unless it has too much to do
	Locality                         // near ones first (WithZone, WithPosition), and of those the less loaded of two
	Random                           // any, as often as the weight says
)

func (p Policy) String() string {
	switch p {
	case P2C:
		return "P2C"
	case WeightedRoundRobin:
		return "WeightedRoundRobin"
	case ConsistentHash:
		return "ConsistentHash"
	case Locality:
		return "Locality"
	case Random:
		return "Random"
	}
	return "Policy(" + strconv.Itoa(int(p)) + ")"
}
