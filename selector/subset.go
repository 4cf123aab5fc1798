package selector

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// rank orders servers as a client of that name prefers them, by rendezvous hashing (D. Thaler, C. Ravishankar 1996; gRFC A68 makes its subsets so):
// each client has its own order, in which every server is as likely as any other at every place. One that comes or goes moves no other.
func rank(servers []*server, client string) {
	seed := xxhash.Sum64String(client)
	slices.SortFunc(servers, func(a, b *server) int {
		if c := cmp.Compare(mix(a.hash^seed), mix(b.hash^seed)); c != 0 {
			return c
		}
		return strings.Compare(a.key, b.key)
	})
}

// subset returns how many of ranked servers are used: as many as hold n that do not fail, but not more than 2n. A replacement is needed only when
// there is a failure, and is given back after it.
func subset(ranked []*server, n int) int {
	fine := 0
	for i, srv := range ranked {
		if fine == n || i == 2*n {
			return i
		}
		if !srv.health.failing() {
			fine++
		}
	}
	return len(ranked)
}
