// Package seeds has the seeds of tests that play random histories. They are the same in every run: what must pass should not depend on luck. With
// HOLDFAST_SEED=fresh they are others each time, which is what finds faults. A test that fails says its seed; HOLDFAST_SEED=42 plays that one alone.
package seeds

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
)

// Of returns n seeds of a test of that name, or the one that was asked for.
func Of(test string, n int) []uint64 {
	asked := os.Getenv("HOLDFAST_SEED")
	if asked != "" && asked != "fresh" {
		seed, err := strconv.ParseUint(asked, 10, 64)
		if err != nil {
			panic(fmt.Sprintf("HOLDFAST_SEED is a number or fresh: %v", err))
		}
		return []uint64{seed}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(test)) // never fails
	r := rand.New(rand.NewPCG(h.Sum64(), 0))
	all := make([]uint64, n)
	for i := range all {
		if all[i] = r.Uint64(); asked == "fresh" {
			all[i] = rand.Uint64()
		}
	}
	return all
}

// One returns the seed of a test that plays one history.
func One(test string) uint64 { return Of(test, 1)[0] }
