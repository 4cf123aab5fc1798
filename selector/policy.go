package selector

import "github.com/holdfast-go/holdfast/internal/words"

// Policy is how a server is chosen among those that can be used.
//
//   - P2C, the default: the less loaded of two random servers, by latency times calls in flight. A slow answer counts at once, and is forgotten within
//     seconds. Right for nearly everything: slow servers get fewer calls before they fail.
//   - WeightedRoundRobin: in turn, each as often as its weight says, evenly spread. A new list does not begin the turn anew.
//   - ConsistentHash: calls with the same key go to the same server, from every process. A server that comes or goes moves its own keys and no
//     others (when weights differ, also some of others if the median weight changes). A server with a quarter more calls in flight than its
//     share passes its keys on to the next.
//   - Locality: near servers first, by zone and distance, for first calls, retries, backups and trials. The next place gets calls when less than five of
//     seven near servers are in use, or when the near ones are four times as slow as the next. One call in five seconds measures the next place.
//   - Random: any.
//
// WithSubset reduces any of them to some of the servers, WithSlowStart spares newcomers, WithTag chooses canaries. Calls in flight are those of this
// Selector: with P2C and bounded loads each client judges by what it sees.
//
// What is read from the metadata:
//
//	weight=5                       0: drained, not used while others have a weight; at most 1,000 times the least
//	state=inactive                 as weight=0; XClient leaves such servers out itself
//	zone=a                         for Locality
//	latitude=52.5&longitude=13.4   degrees, for Locality
//	tag=canary                     for WithTag; calls without a tag avoid such servers while another can be used
//	started=1700000000             when the server's process has started, in seconds since 1970, for WithSlowStart
//
// What cannot be understood has its default (a weight of 1, no position) and is reported to the logger once.
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
