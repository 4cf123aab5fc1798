package serverplugin

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/seeds"
)

// play lets a script of bytes happen to three processes, and ZooKeeper become healthy afterwards. Every byte is a process and what happens to
// it.
func play(t *testing.T, script []byte, verbose bool) {
	t.Helper()
	w := newWorld(t, 3)
	w.verbose, w.again = verbose, func() { play(t, script, true) }
	for i, b := range script {
		p := w.procs[int(b)%3]
		data := fmt.Sprintf("v=%s%d", p.name, i)
		if i%2 == 0 {
			data += fmt.Sprint("&weight=r", i)
		}
		switch b / 3 % 38 {
		case 0:
			p.register(data)
		case 1:
			p.unregister()
		case 2:
			p.update(data)
		case 3:
			p.disconnect(true)
		case 4:
			p.disconnect(false)
		case 5:
			w.expire(p.session)
		case 6:
			p.kill()
		case 7:
			p.restart()
			p.connect()
			p.register(data)
		case 8: // somebody deletes the node by hand …
			if w.node != nil {
				w.change(nil)
			}
		case 9: // … or overwrites it …
			if n := w.node; n != nil {
				w.change(&modelNode{owner: n.owner, czxid: n.czxid, version: n.version + 1, data: "by hand", isOld: n.isOld})
			}
		case 10: // … or puts a persistent one there
			w.change(nil)
			w.change(&modelNode{data: "by hand"})
		case 11:
			w.now = w.now.Add(time.Hour)
			p.feed(event{kind: woke})
		case 12:
			if p.request != nil && !p.request.executed {
				p.request.executed = true
				p.answer([]eventKind{refused, unsent}[i%2])
			}
		case 13, 14, 15:
			p.connect()
		case 16, 17, 18, 19, 20, 21, 22:
			p.execute()
		case 32:
			w.operate("weight")
		case 33:
			w.operate("state")
		case 34:
			w.operate("active")
		case 35:
			w.operate("none")
		case 36:
			w.keep()
		case 37:
			w.restore()
		default:
			w.now = w.now.Add(time.Second)
			p.feed(event{kind: woke})
			p.execute()
			p.receive()
		}
	}
	w.heal()
}

func FuzzProcessesCompete(f *testing.F) {
	f.Add([]byte{39, 0, 70, 70, 70, 40, 1, 70, 70, 70})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) < 400 {
			play(t, script, false)
		}
	})
}

func TestProcessesCompete(t *testing.T) {
	seed := seeds.One(t.Name())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 5_000 {
		script := make([]byte, rng.IntN(150))
		for i := range script {
			script[i] = byte(rng.IntN(114))
		}
		play(t, script, false)
	}
}
