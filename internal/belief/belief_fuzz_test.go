package belief

import (
	"math/rand/v2"
	"testing"
)

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
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 || len(script) > 1000 {
			return
		}
		fleet := newFleet(t, script[0])
		fleet.play(script[1:])
		fleet.inTheEndTheListIsTheRegistrys()
	})
}
