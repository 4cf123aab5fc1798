package zkdiscovery

import "github.com/smallnest/rpcx/client"

// equalPairs reports whether two sorted lists say the same. Unchanged instances share their pair, so it is mostly a comparison of pointers.
func equalPairs(a, b []*client.KVPair) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && *a[i] != *b[i] {
			return false
		}
	}
	return true
}
