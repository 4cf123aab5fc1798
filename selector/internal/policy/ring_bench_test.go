package policy

import "testing"

func BenchmarkNewRing(b *testing.B) {
	raw := weights(1000, func(i int) uint32 { return uint32(1 + i%10) })
	members := members(raw...)
	for i := range members {
		members[i].Hash = Mix(uint64(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		NewRing(members)
	}
}
