// Package seeds has the seeds of tests that play random histories. They are the same in every run: what must pass should not depend on luck. With
// HOLDFAST_SEEDS=fresh they are others each time, which is what finds faults. A test that fails says its seed, and how to play it again.
package seeds

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
)

// Of returns the n-th seed of a test of that name.
func Of(test string, n int) uint64 {
	if os.Getenv("HOLDFAST_SEEDS") == "fresh" {
		return 1 + rand.Uint64N(1<<32)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(test)) // never fails
	return 1 + rand.New(rand.NewPCG(h.Sum64(), uint64(n))).Uint64N(1<<32)
}
