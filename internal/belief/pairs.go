package belief

import (
	"net/url"
	"strings"
	"time"

	"github.com/smallnest/rpcx/client"
)

// Server is an instance as a file has it, with since when it is held; zero for one that is listed.
type Server struct {
	Pair      *client.KVPair
	HeldSince time.Time
}

func byServerKey(a, b Server) int { return strings.Compare(a.Pair.Key, b.Pair.Key) }

// ByKey orders a list.
func ByKey(a, b *client.KVPair) int { return strings.Compare(a.Key, b.Key) }

// Inactive reports whether an instance has said goodbye: XClient does not use it, and its going is no loss.
func Inactive(metadata string) bool {
	if !strings.Contains(metadata, "inactive") {
		return false
	}
	v, err := url.ParseQuery(metadata)
	return err == nil && v.Get("state") == "inactive"
}

// sameSlice reports whether a and b are the same slice, not only equal ones.
func sameSlice(a, b []*client.KVPair) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Sooner is the earlier of two times, a zero one being never.
func Sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
