package zkdiscovery

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/belief"
)

// Instances that have not changed share their pair with the list before, and so most of two lists need no comparison.
func TestChangesAreFoundBetweenWhatIsShared(t *testing.T) {
	p := func(key, value string) *client.KVPair { return &client.KVPair{Key: key, Value: value} }
	a, b, c, d := p("a", ""), p("b", ""), p("c", ""), p("d", "")
	now := time.Unix(1, 0)
	for _, tc := range []struct {
		name    string
		was, is []*client.KVPair
		held    [2][]string // then and now
		changes []Change
	}{
		{name: "nothing", was: []*client.KVPair{a, b, c}, is: []*client.KVPair{a, b, c}},
		{name: "an equal one that is not shared", was: []*client.KVPair{a, b, c}, is: []*client.KVPair{a, p("b", ""), c}},
		{name: "one in the middle came", was: []*client.KVPair{a, c}, is: []*client.KVPair{a, b, c}, changes: []Change{{Kind: Added, Instances: 1, First: "b"}}},
		{name: "the last came", was: []*client.KVPair{a, b}, is: []*client.KVPair{a, b, c}, changes: []Change{{Kind: Added, Instances: 1, First: "c"}}},
		{name: "the first went", was: []*client.KVPair{a, b}, is: []*client.KVPair{b}, changes: []Change{{Kind: Removed, Instances: 1, First: "a"}}},
		{
			name: "one went, one came, one changed", was: []*client.KVPair{a, b, c}, is: []*client.KVPair{p("a", "weight=1"), c, d},
			changes: []Change{
				{Kind: Added, Instances: 1, First: "d"}, {Kind: Removed, Instances: 1, First: "b"}, {Kind: Edited, Instances: 1, First: "a"},
			},
		},
		{
			name: "one is held and one is not any more", was: []*client.KVPair{a, b, c}, is: []*client.KVPair{a, b, c},
			held:    [2][]string{{"a", "b"}, {"b", "c"}},
			changes: []Change{{Kind: HoldBegan, Instances: 1, First: "c"}, {Kind: HoldEnded, Instances: 1, First: "a"}},
		},
		{name: "everybody went", was: []*client.KVPair{a, b}, changes: []Change{{Kind: Removed, Instances: 2, First: "a"}}},
	} {
		was := &list{Shown: belief.Shown{Source: belief.Live, Pairs: tc.was, Held: tc.held[0]}}
		is := &list{Shown: belief.Shown{Source: belief.Live, Pairs: tc.is, Held: tc.held[1]}}
		for i := range tc.changes {
			tc.changes[i].At, tc.changes[i].Service, tc.changes[i].Source = now, "/rpcx/Arith", Live
		}
		if diff := cmp.Diff(tc.changes, changesFrom(was, is, "/rpcx/Arith", now)); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.name, diff)
		}
	}
}

// BenchmarkChangesFrom compares two lists of 5,000 of which one instance has changed.
func BenchmarkChangesFrom(b *testing.B) {
	was := make([]*client.KVPair, 5_000)
	for i := range was {
		was[i] = &client.KVPair{Key: fmt.Sprintf("tcp@127.0.0.1:%05d", i)}
	}
	is := slices.Clone(was)
	is[2_500] = &client.KVPair{Key: was[2_500].Key, Value: "weight=2"}
	lists := [2]*list{{Shown: belief.Shown{Pairs: was}}, {Shown: belief.Shown{Pairs: is}}}
	now := time.Now()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if len(changesFrom(lists[i%2], lists[1-i%2], "/rpcx/Arith", now)) != 1 {
			b.Fatal("the change is not found")
		}
	}
}
