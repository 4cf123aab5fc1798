package mirror

import (
	"math/rand/v2"
	"testing"

	"github.com/holdfast-go/holdfast/tests/seeds"
)

// changeOne makes one change, lets it arrive in a random order, and checks the list and the requests.
func (r *rig) changeOne(op, arg byte, rng *rand.Rand) {
	if len(r.zk.leader().nodes) == 0 {
		return // the first instance of a path, or of none
	}
	before := r.zk.requests
	r.step(op, arg)
	for range 60 {
		r.step([...]byte{7, 9, 11, 14}[rng.IntN(4)], byte(rng.Uint32()))
	}
	r.settle()
	r.equal()
	most := 2
	if zk := r.zk; zk.st.Extension.Lasting && r.denied {
		most = 3 // a watch on the children may be left
	} else if zk.st.Extension.Lasting && !zk.single {
		most = 1
	}
	if n := r.zk.requests - before; n > most {
		r.fatalf("%d requests for one change", n)
	}
}

func (r *rig) run(next func() (byte, bool)) {
	must := func() byte { b, _ := next(); return b }
	for {
		op, ok := next()
		if !ok {
			break
		}
		r.step(op, must())
	}
	r.heal()
	r.equal()
	if r.lossy {
		return // of the next change too nobody may tell, until the next look
	}
	rng := rand.New(rand.NewPCG(1, uint64(len(r.log))))
	ops := []byte{opCreate, opRemove}
	if r.m.watchData {
		ops = append(ops, opSet)
	}
	for range 6 {
		r.changeOne(ops[rng.IntN(len(ops))], byte(rng.Uint32()), rng)
	}
}

// extend gives the servers lasting watches: all, some or none.
func (r *rig) extend(how int) {
	r.zk.lasting, r.mixed = how%3 == 1, how%3 == 2
	r.zk.single, r.zk.filter = how/3%2 == 1, how/6%2 == 1
}

// TestMirrorKeepsItsPromisesWhateverHappens is the fuzzer with random histories, for those who only run the tests.
func TestMirrorKeepsItsPromisesWhateverHappens(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	seed := seeds.One(t.Name())
	for round := range rounds {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		r := newRig(t, round%4 != 0)
		if r.m.watchData {
			r.extend(round / 4)
		}
		r.note("seed %d, round %d", seed, round)
		steps := 2 * rng.IntN(300)
		// Some rounds leave kinds of steps out, so that what remains goes deeper.
		skip := rng.Uint32() & rng.Uint32()
		r.run(func() (byte, bool) {
			steps--
			for {
				b := byte(rng.Uint32())
				if steps&1 == 0 || skip>>(b%24)&1 == 0 || b%24 >= 7 && b%24 <= 20 {
					return b, steps >= 0
				}
			}
		})
		if t.Failed() {
			return
		}
	}
}

func FuzzMirror(f *testing.F) {
	f.Add([]byte{1, 19, 0, 0, 1, 0, 22, 0, 22, 0, 22, 0, 4, 1, 9, 0, 9, 0, 22, 0})
	f.Add([]byte{0, 19, 0, 0, 1, 6, 3, 19, 0, 22, 0, 22, 0, 6, 9, 23, 90, 22, 0})
	f.Add([]byte{1, 19, 0, 0, 1, 22, 0, 22, 0, 22, 0, 3, 22, 22, 0, 22, 0, 6, 26, 19, 0, 22, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2000 {
			t.Skip("long histories find nothing that short ones do not")
		}
		r := newRig(t, len(data) == 0 || data[0]&1 == 1)
		if r.m.watchData && len(data) > 0 {
			r.extend(int(data[0] >> 1))
		}
		r.run(func() (byte, bool) {
			if len(data) <= 1 {
				return 0, false
			}
			data = data[1:]
			return data[0], true
		})
	})
}
