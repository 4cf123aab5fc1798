package zkdiscovery

import (
	"testing"

	"github.com/smallnest/rpcx/client"
)

func TestEqualListsNeedNotBeTheSame(t *testing.T) {
	p := func(kv ...string) (list []*client.KVPair) {
		for i := 0; i < len(kv); i += 2 {
			list = append(list, &client.KVPair{Key: kv[i], Value: kv[i+1]})
		}
		return list
	}
	for _, tc := range []struct {
		a, b []*client.KVPair
		want bool
	}{
		{nil, nil, true},
		{nil, p(), true},
		{p("a", "1"), p("a", "1"), true},
		{p("a", "1"), p("a", "2"), false},
		{p("a", "1"), p("b", "1"), false},
		{p("a", "1"), p("a", "1", "b", "1"), false},
		{p("a", "1"), nil, false},
	} {
		if got := equalPairs(tc.a, tc.b); got != tc.want {
			t.Errorf("%v, %v: %v", tc.a, tc.b, got)
		}
	}
}
