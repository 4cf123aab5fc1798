package harness

import (
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Fault is something that goes wrong with ZooKeeper, or with the network of one client, in a bubble. After End both are healthy.
type Fault struct {
	Name       string
	Begin, End func(*World, *zktest.Server, *Dialer)
}

// Faults are those that a discovery must get over.
func Faults() []Fault {
	return []Fault{
		{
			"refused",
			func(w *World, _ *zktest.Server, _ *Dialer) { w.Stop() },
			func(w *World, _ *zktest.Server, _ *Dialer) { w.Start() },
		},
		{
			"silent",
			func(w *World, _ *zktest.Server, _ *Dialer) { w.Cut(true) },
			func(w *World, _ *zktest.Server, _ *Dialer) { w.Cut(false) },
		},
		{
			"half open: the old connection is silent for ever, new ones work",
			func(w *World, zk *zktest.Server, way *Dialer) {
				way.Strand()
				way.Redirect(Refuse)
			},
			func(_ *World, zk *zktest.Server, way *Dialer) { way.Redirect(zk.Dial) },
		},
		{
			"expired",
			func(_ *World, zk *zktest.Server, way *Dialer) { zk.ExpireAll(); way.Redirect(Refuse); way.Drop() },
			func(_ *World, zk *zktest.Server, way *Dialer) { way.Redirect(zk.Dial) },
		},
		{
			"expired, and again every second",
			func(w *World, zk *zktest.Server, _ *Dialer) {
				for range 10 {
					zk.ExpireAll()
					Pass(time.Second)
				}
			},
			func(*World, *zktest.Server, *Dialer) {},
		},
		{
			"wiped",
			func(w *World, zk *zktest.Server, way *Dialer) { way.Redirect(Refuse); way.Drop() },
			func(w *World, zk *zktest.Server, way *Dialer) {
				zk.Wipe()
				w.Put(w.Node("Arith", 7), "n=7")
				way.Redirect(zk.Dial)
			},
		},
		{
			"restored from a backup",
			func(w *World, zk *zktest.Server, way *Dialer) {
				zk.Checkpoint()
				for i := range 20 {
					w.Put(w.Node("Arith", 20+i), "n=20")
				}
				Pass(time.Second)
				way.Redirect(Refuse)
				way.Drop()
			},
			func(w *World, zk *zktest.Server, way *Dialer) { zk.Rollback(); way.Redirect(zk.Dial) },
		},
		{
			"credentials refused",
			func(_ *World, zk *zktest.Server, way *Dialer) {
				zk.FailNext(zktest.OpAuth, zktest.CodeAuthFailed, 1<<30)
				way.Drop()
			},
			func(_ *World, zk *zktest.Server, _ *Dialer) { zk.FailNext(zktest.OpAuth, 0, 0) },
		},
		{
			"accepts and hangs up",
			func(_ *World, zk *zktest.Server, way *Dialer) {
				zk.CutBefore(zktest.OpConnect, 1<<30)
				way.Drop()
			},
			func(_ *World, zk *zktest.Server, _ *Dialer) { zk.CutBefore(zktest.OpConnect, 0) },
		},
		{
			"the handshake's answer is lost",
			func(_ *World, zk *zktest.Server, way *Dialer) {
				zk.CutAfter(zktest.OpConnect, 1<<30)
				way.Drop()
			},
			func(_ *World, zk *zktest.Server, _ *Dialer) { zk.CutAfter(zktest.OpConnect, 0) },
		},
		{
			"hangs up on every request",
			func(w *World, zk *zktest.Server, way *Dialer) {
				for _, op := range []zktest.Op{zktest.OpGetChildren2, zktest.OpGetData, zktest.OpExists, zktest.OpSync} {
					zk.CutBefore(op, 1<<30)
				}
				way.Drop()
			},
			func(_ *World, zk *zktest.Server, _ *Dialer) {
				for _, op := range []zktest.Op{zktest.OpGetChildren2, zktest.OpGetData, zktest.OpExists, zktest.OpSync} {
					zk.CutBefore(op, 0)
				}
			},
		},
		{
			"the watches cannot be set again",
			func(_ *World, zk *zktest.Server, way *Dialer) {
				zk.FailNext(zktest.OpSetWatches, zktest.CodeMarshallingError, 1<<30)
				way.Drop()
			},
			func(_ *World, zk *zktest.Server, _ *Dialer) { zk.FailNext(zktest.OpSetWatches, 0, 0) },
		},
	}
}
