package serverplugin

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/seeds"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// TestRandomHistoriesEndWithOneOwner lets everything happen, in any order, to four processes with one address and to ZooKeeper. When that is
// healthy again, one of those who want the address has it, and each of them says the truth.
func TestRandomHistoriesEndWithOneOwner(t *testing.T) {
	histories := 150
	if testing.Short() || raceDetector {
		histories = 40
	}
	for _, seed := range seeds.Of(t.Name(), histories) {
		ok := t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inBubble(t, func(b bubble) {
				h := &history{bubble: b, rng: rand.New(rand.NewPCG(seed, 0)), operator: operator{zk: b.zk}}
				for i := range 4 {
					h.all = append(h.all, &competitor{h: h, name: string(rune('A' + i))})
				}
				for h.moment = range 20 + h.rng.IntN(80) {
					h.step()
				}
				h.end()
			})
		})
		if !ok {
			t.Fatalf("play it again with: HOLDFAST_SEED=%d go test -run %s -v", seed, t.Name())
		}
	}
}

type history struct {
	bubble

	rng      *rand.Rand
	all      []*competitor
	operator operator
	moment   int

	silent, refusing, stopped bool
	restored                  bool // from a backup, which may bring back a node that was gone, until its session expires
}

func (h *history) note(format string, args ...any) {
	h.Helper()
	h.Logf("%d: %s", h.moment, fmt.Sprintf(format, args...))
}

// step is one thing that happens.
func (h *history) step() {
	c := h.all[h.rng.IntN(len(h.all))]
	if !c.busy.Load() {
		switch h.rng.IntN(10) {
		case 0, 1, 2:
			c.register()
		case 3:
			c.unregister()
		case 4:
			c.drain(time.Duration(h.rng.IntN(6)) * time.Second)
		case 5:
			c.stop()
		case 6:
			c.kill()
		default:
		}
	}
	switch h.rng.IntN(8) {
	case 0, 1, 2, 3:
		h.disturb()
	case 4, 5:
		h.operate()
	default:
	}
	d := [...]time.Duration{0, 0, time.Millisecond, 50 * time.Millisecond, time.Second, 12 * time.Second}[h.rng.IntN(6)]
	pass(time.Duration(h.rng.Float64() * float64(d)))
}

// operate has the operator write, or somebody who knows nothing.
func (h *history) operate() {
	switch o := &h.operator; h.rng.IntN(5) {
	case 0:
		h.note("the operator says weight=%s", o.weigh(nodePath))
	case 1:
		h.note("the operator says inactive: %v", o.say(nodePath, "state", "inactive"))
	case 2:
		h.note("the operator says active: %v", o.say(nodePath, "state", "active"))
	case 3:
		h.note("the operator takes the weight back: %v", o.say(nodePath, "weight", ""))
	case 4:
		text := [...]string{"", "nonsense", "a;b", "%zz", "weight=o0&state=inactive&x=y"}[h.rng.IntN(5)]
		h.note("somebody writes %q: %v", text, h.zk.Set(nodePath, []byte(text)))
	}
}

// disturb does something to ZooKeeper, or to what it keeps.
func (h *history) disturb() {
	ops := [...]zktest.Op{zktest.OpCreate, zktest.OpMulti, zktest.OpSetData, zktest.OpDelete, zktest.OpGetData, zktest.OpSetWatches, zktest.OpConnect}
	op, n := ops[h.rng.IntN(len(ops))], 1+h.rng.IntN(3)
	var what any
	switch h.rng.IntN(18) {
	case 0:
		what = "every session expires"
		h.zk.ExpireAll()
	case 1:
		what = "a session expires"
		if ids := h.zk.Sessions(); len(ids) > 0 {
			h.zk.ExpireSession(ids[h.rng.IntN(len(ids))])
		}
	case 2:
		what = "connections drop"
		h.zk.DropConnections()
	case 3:
		h.silent = !h.silent
		what = fmt.Sprint("silence: ", h.silent)
		h.zk.Silence(h.silent)
	case 4:
		h.refusing = !h.refusing
		what = fmt.Sprint("refusal: ", h.refusing)
		h.zk.Refuse(h.refusing)
	case 5:
		if h.stopped = !h.stopped; h.stopped {
			h.zk.Stop()
		} else {
			must(h.bubble, h.zk.Start())
		}
		what = fmt.Sprint("stopped: ", h.stopped)
	case 6:
		what = "wiped"
		h.zk.Wipe()
	case 7:
		what = "checkpoint"
		h.zk.Checkpoint()
	case 8:
		what = "rolled back"
		h.restored = true
		h.zk.Rollback()
	case 9:
		what = fmt.Sprint("refuses ", op, n)
		h.zk.FailNext(op, []zktest.Code{zktest.CodeNoAuth, -125}[h.rng.IntN(2)], n)
	case 10:
		what = fmt.Sprint("cuts before ", op, n)
		h.zk.CutBefore(op, n)
	case 11:
		what = fmt.Sprint("cuts after ", op, n)
		h.zk.CutAfter(op, n)
	case 12:
		d := time.Duration(h.rng.IntN(500)) * time.Millisecond
		what = fmt.Sprint("delay ", d)
		h.zk.Delay(d)
	case 13:
		what = fmt.Sprint("deleted by hand: ", h.zk.Delete(nodePath))
	case 14:
		what = fmt.Sprint("overwritten by hand: ", h.zk.Set(nodePath, []byte("by hand")))
	case 16, 17:
		what = "restored from a backup, and the sessions in it go on"
		h.restored = true
		h.restore()
		h.zk.Refuse(h.refusing)
	case 15:
		what = fmt.Sprint("replaced by hand: ", errors.Join(h.zk.Delete(nodePath), h.zk.Put(nodePath, []byte("by hand"))))
	}
	h.note("ZooKeeper: %v", what)
}

// restore puts the checkpoint back before any client has seen it, under zxids that are above all that clients have seen: a new epoch.
func (b bubble) restore() {
	b.zk.Refuse(true)
	seen := b.zk.Zxid()
	b.zk.Rollback()
	for b.zk.Zxid() <= seen {
		must(b, b.zk.Put("/epoch", nil))
	}
	b.zk.Refuse(false)
}

// end makes ZooKeeper healthy, and asserts what is promised then.
func (h *history) end() {
	h.note("the faults end")
	for _, op := range []zktest.Op{zktest.OpCreate, zktest.OpMulti, zktest.OpSetData, zktest.OpDelete, zktest.OpGetData, zktest.OpSetWatches, zktest.OpConnect} {
		h.zk.FailNext(op, zktest.CodeOK, 0)
	}
	h.zk.Delay(0)
	h.zk.Silence(false)
	h.zk.Refuse(false)
	if h.stopped {
		must(h.bubble, h.zk.Start())
	}
	pass(2 * time.Minute) // whoever was killed has expired; what could not be read for a moment, and has no watch, was looked at
	h.assertOneOwner()
	zxid := h.zk.Zxid()
	pass(time.Hour)
	if n := h.zk.Zxid() - zxid; n > 0 {
		h.Errorf("%d writes in an hour of peace", n)
	}
	h.assertOneOwner()
	h.assertHeeded()
}

func (h *history) assertOneOwner() {
	h.Helper()
	node, err := h.zk.Get(nodePath)
	wanting := 0
	var owners []string
	for _, c := range h.all {
		if c.busy.Load() {
			h.Errorf("%s is still busy", c.name)
		}
		if c.plugin == nil {
			continue
		}
		st := c.plugin.Status()
		owns := err == nil && node.Stat.EphemeralOwner == st.SessionID
		switch {
		case c.wants == "":
			if owns || len(st.Services) > 0 || c.plugin.Registered() {
				h.Errorf("%s is not to be registered: %+v, owner %v", c.name, st, owns)
			}
			continue
		case owns:
			owners = append(owners, c.name)
			h.assertSaid(c, st.Services[0].Operator)
			if !saying(string(node.Data), c.wants, st.Services[0].Operator) || !c.plugin.Registered() || st.Services[0].Phase != Registered {
				h.Errorf("%s owns the node, which says %q: %+v, want %s", c.name, node.Data, st, c.wants)
			}
		case c.plugin.Registered() || st.Services[0].Phase != Yielded || st.Services[0].Owner != node.Stat.EphemeralOwner:
			h.Errorf("%s has lost the address to %#x, and says %+v", c.name, node.Stat.EphemeralOwner, st)
		}
		wanting++
	}
	if wanting > 0 && len(owners) != 1 {
		h.Errorf("%d want the address, %q have it: %+v, %v", wanting, owners, node, err)
	}
	if wanting == 0 && err == nil && node.Stat.EphemeralOwner != 0 {
		h.Errorf("nobody wants the address, and the node is there: %+v", node)
	}
}
