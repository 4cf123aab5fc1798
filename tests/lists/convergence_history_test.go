package lists

import (
	"fmt"
	"maps"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// What can happen in a history.

const (
	population = 12         // instances that there may be
	newcomer   = population // comes at the end
)

func (h *history) path(key string) string { return h.Service("Arith") + "/" + key }

// value is one that has never been.
func (h *history) value(key string) string {
	h.counter++
	value := fmt.Sprintf("n=%d", h.counter)
	h.written[key+" "+value] = true
	h.written[key+" "] = true // may be created empty
	return value
}

// change makes one change to ZooKeeper and to the model.
func (h *history) change() {
	key := harness.Instance(h.r.IntN(population))
	_, there := h.nodes[key]
	switch n := h.r.IntN(20); {
	case n < 10 && !there, there && n < 1:
		value := h.value(key)
		h.note("put %s %s", key, value)
		h.Put(h.path(key), value)
		h.nodes[key], h.exists = value, true
	case there && n < 6:
		value := h.value(key)
		h.note("set %s %s", key, value)
		h.Set(h.path(key), value)
		h.nodes[key] = value
	case there && n < 11:
		value := h.value(key)
		h.note("take over %s %s", key, value)
		h.Takeover(h.path(key), value)
		h.nodes[key] = value
	case there && n < 17:
		h.note("delete %s", key)
		h.Remove(h.path(key))
		delete(h.nodes, key)
	case n < 18:
		h.many()
	case h.exists:
		h.note("delete everything and the service itself")
		var paths []string
		for key := range h.nodes {
			paths = append(paths, h.path(key))
		}
		h.Remove(append(paths, h.Service("Arith"))...)
		clear(h.nodes)
		h.exists = false
	}
}

// many makes several instances come in one transaction, and those that are there go.
func (h *history) many() {
	if !h.exists {
		h.Put(h.Service("Arith"), "")
		h.exists = true
	}
	var gone, come []string
	for i := range population {
		key := harness.Instance(i)
		if _, there := h.nodes[key]; there {
			gone = append(gone, h.path(key))
			delete(h.nodes, key)
		} else if h.r.IntN(2) == 0 {
			come = append(come, h.path(key))
			h.nodes[key] = "n=1"
			h.written[key+" n=1"] = true
		}
	}
	h.note("%d go, %d come", len(gone), len(come))
	if len(gone) > 0 {
		h.Remove(gone...)
	}
	if len(come) > 0 {
		h.Create(come...)
	}
}

// some lets a member, or who listens to it, do something.
func (h *history) some(m *member) {
	switch h.r.IntN(12) {
	case 0:
		h.note("another watcher of %s", m.name)
		m.replicas = append(m.replicas, h.Follow(m.d))
	case 1:
		if len(m.replicas) > 0 {
			h.note("a watcher of %s leaves", m.name)
			m.replicas[0].Stop()
			m.replicas = m.replicas[1:]
		}
	case 2:
		if m.odd = !m.odd; m.odd {
			h.note("%s filters", m.name)
			m.d.SetFilter(isOdd)
		} else {
			h.note("%s filters no more", m.name)
			m.d.SetFilter(nil)
		}
	case 3:
		if h.server != nil && len(h.members) < 6 {
			h.join([]string{"plain, late", "filtered, late", "cached, late"}[h.r.IntN(3)], nil)
		}
	}
	if m.way == nil {
		return
	}
	switch h.r.IntN(10) {
	case 0:
		h.note("the connection of %s breaks", m.name)
		m.way.Drop()
	case 1:
		h.note("the connection of %s falls silent for ever", m.name)
		m.way.Strand()
	case 2:
		h.note("%s is refused", m.name)
		m.way.Redirect(harness.Refuse)
	case 3:
		h.note("%s is let in again", m.name)
		m.way.Redirect(h.server.Dial)
	}
}

// trouble is what keeps other clients from the server, too: until it is over, changes are made past the wire.
type trouble struct{ stopped, silent, refusing, handshakes bool }

// fault lets something go wrong with the server, or be well again.
func (h *history) fault() {
	zk := h.server
	defer func() { h.ZooKeeper.(*harness.InProcess).Away(h.trouble != trouble{}) }()
	switch h.r.IntN(16) {
	case 0:
		h.note("stop")
		zk.Stop()
		h.trouble.stopped = true
	case 1, 2:
		h.note("start")
		harness.Must(h, zk.Start())
		h.trouble.stopped = false
	case 3:
		h.note("silence")
		zk.Silence(true)
		h.trouble.silent = true
	case 4, 5:
		h.note("end of silence")
		zk.Silence(false)
		h.trouble.silent = false
	case 6:
		h.note("all connections break")
		zk.DropConnections()
	case 7:
		h.note("all sessions expire")
		zk.ExpireAll()
	case 8:
		h.note("checkpoint")
		zk.Checkpoint()
		h.backup = &history{nodes: maps.Clone(h.nodes), exists: h.exists}
	case 9:
		if h.backup != nil && h.r.IntN(2) == 0 {
			h.note("rollback")
			zk.Rollback()
			h.nodes, h.exists = maps.Clone(h.backup.nodes), h.backup.exists
		}
	case 10:
		if h.r.IntN(3) == 0 {
			h.note("wipe")
			zk.Wipe()
			clear(h.nodes)
			h.exists = false
		}
	case 11:
		d := h.upTo(200 * time.Millisecond)
		h.note("delay %v", d)
		zk.Delay(d)
	case 12:
		op := h.op()
		h.note("cut before %v", op)
		h.trouble.handshakes = h.trouble.handshakes || op == zktest.OpConnect
		zk.CutBefore(op, 1+h.r.IntN(3))
	case 13:
		op := h.op()
		h.note("cut after %v", op)
		h.trouble.handshakes = h.trouble.handshakes || op == zktest.OpConnect
		zk.CutAfter(op, 1+h.r.IntN(3))
	case 14:
		op := h.op()
		h.note("fail %v", op)
		h.trouble.handshakes = h.trouble.handshakes || op == zktest.OpConnect
		zk.FailNext(op, zktest.CodeRuntimeInconsistency, 1+h.r.IntN(3))
	case 15:
		h.trouble.refusing = h.r.IntN(3) == 0
		h.note("refuse %v, handshakes well", h.trouble.refusing)
		zk.Refuse(h.trouble.refusing)
		zk.FailNext(zktest.OpConnect, 0, 0)
		h.trouble.handshakes = false
	}
}

// ops are the requests of a discovery.
var ops = [...]zktest.Op{
	zktest.OpGetChildren2, zktest.OpGetData, zktest.OpExists, zktest.OpSync, zktest.OpSetWatches, zktest.OpConnect, zktest.OpPing,
}

func (h *history) op() zktest.Op { return ops[h.r.IntN(len(ops))] }

// realFault is a fault of the network, or of the server's process.
func (h *history) realFault() {
	zk := h.ZooKeeper.(*harness.RealZooKeeper)
	proxy := zk.Proxies[0]
	switch h.r.IntN(8) {
	case 0:
		h.note("refused")
		h.Stop()
	case 1, 2:
		h.note("let in")
		h.Start()
		proxy.Cut(false)
	case 3:
		h.note("cut")
		proxy.Cut(true)
	case 4:
		h.note("drop")
		proxy.Drop()
	case 5:
		h.note("strand")
		proxy.Strand()
	case 6:
		d := h.upTo(10 * time.Millisecond)
		h.note("delay %v", d)
		proxy.Delay(d)
	case 7:
		h.note("kill and restart")
		harness.Must(h, zk.Ensemble.Kill(0))
		harness.Must(h, zk.Ensemble.Restart(0))
	}
}

func (h *history) upTo(d time.Duration) time.Duration { return time.Duration(h.r.Int64N(int64(d))) }

// pass lets a random time pass: mostly none or little, sometimes more than sessions and backoffs last.
func (h *history) pass() {
	switch n := h.r.IntN(20); {
	case n < 8:
	case n < 14:
		time.Sleep(h.upTo(30 * time.Millisecond))
	case n < 17:
		harness.Pass(h.upTo(2 * time.Second))
	case n < 19:
		harness.Pass(h.upTo(20 * time.Second))
	default:
		harness.Pass(h.upTo(90 * time.Second))
	}
}

// comes makes an instance come that everybody lists. Whoever has heard of it has a connection that works: one that is broken, and not noticed to
// be so, looks live.
func (h *history) comes() {
	if !h.exists {
		h.Put(h.Service("Arith"), "")
		h.exists = true
	}
	key := harness.Instance(newcomer)
	h.note("%s comes", key)
	h.Create(h.path(key))
	h.nodes[key] = "n=1"
	h.written[key+" n=1"] = true
}

// heal makes ZooKeeper and the network healthy.
func (h *history) heal() {
	h.note("healed")
	h.Start()
	h.Cut(false)
	if h.server == nil {
		proxy := h.ZooKeeper.(*harness.RealZooKeeper).Proxies[0]
		proxy.Delay(0)
		proxy.Drop()
		return
	}
	h.server.Refuse(false)
	h.server.Delay(0)
	for _, op := range ops {
		h.server.FailNext(op, 0, 0)
	}
	for _, m := range h.members {
		m.d.GetServices() // a clone that nobody had used for a minute takes its mirror up
		if m.way != nil {
			m.way.Redirect(h.server.Dial)
		}
	}
}
