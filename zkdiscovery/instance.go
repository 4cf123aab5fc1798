package zkdiscovery

import (
	"net/url"
	"strings"

	"github.com/smallnest/rpcx/client"
)

// An instance is a child of the service path. Its name is its key, network@address; its data, the metadata, is a URL query.

// validMetadata reports whether rpcx can read it. XClient takes an instance whose metadata it cannot parse as it is: neither state=inactive
// nor group= in it count.
func validMetadata(value string) bool {
	_, err := url.ParseQuery(value)
	return err == nil
}

// onlyMetrics reports whether two values differ in nothing but what rpcx's server plugins rewrite all the time, calls and connections.
func onlyMetrics(was, is string) bool {
	if was == is {
		return true
	}
	a, err := url.ParseQuery(was)
	if err != nil {
		return false
	}
	b, err := url.ParseQuery(is)
	if err != nil {
		return false
	}
	for _, k := range [...]string{"calls", "connections"} {
		a.Del(k)
		b.Del(k)
	}
	return a.Encode() == b.Encode()
}

func byKey(a, b *client.KVPair) int { return strings.Compare(a.Key, b.Key) }

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
