package belief

import (
	"math/rand/v2"
	"testing"
)

// heldUp is a history in which P0 writes, late, what it has heard before a backup was restored, and P1 has listed since and is cut off.
var heldUp = []byte{
	0,
	0, 0, 0b11, // two instances are registered
	15, 0, 0, 15, 1, 0, // P0 and P1 look: there is no file
	18, 0, 2, 7, 0, 1, // P0's disk hangs; P0 connects and lists
	0, 0, 0b111100, 13, 0, 0, // four more, and P0 lists
	6, 0, 4, // a backup is restored
	7, 1, 1, 8, 1, 0, // P1 connects, lists, and is cut off
	18, 0, 2, 15, 1, 0, // P0's disk is back, and P1 looks
}

// FuzzBelief lets three processes that share a file live through arbitrary histories, and checks what they promise after every event. One of them may
// not read everything, one may have no watches for metadata, one may have no guard; what else befalls them is in fleet.play.
func FuzzBelief(f *testing.F) {
	random := rand.New(rand.NewPCG(10, 4))
	for range 300 {
		script := make([]byte, 1+3*random.IntN(300))
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		f.Add(script)
	}
	f.Add(heldUp)
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 || len(script) > 1000 {
			return
		}
		fleet := newFleet(t, script[0])
		fleet.play(script[1:])
		fleet.inTheEndTheListIsTheRegistrys()
	})
}
