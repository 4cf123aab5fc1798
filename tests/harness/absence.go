package harness

import (
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Absence is a way in which ZooKeeper can be away when a program starts in a bubble.
type Absence struct {
	Name       string
	Refused    bool // at once, so that there is nothing to wait for
	Begin, End func(*World, *zktest.Server)
}

// Absences are the ways that there are.
func Absences() []Absence {
	return []Absence{
		{"refused", true, func(w *World, _ *zktest.Server) { w.Stop() }, func(w *World, _ *zktest.Server) { w.Start() }},
		{"silent", false, func(w *World, _ *zktest.Server) { w.Cut(true) }, func(w *World, _ *zktest.Server) { w.Cut(false) }},
		{
			"hanging up", true,
			func(_ *World, zk *zktest.Server) { zk.CutBefore(zktest.OpConnect, 1<<20) },
			func(_ *World, zk *zktest.Server) { zk.CutBefore(zktest.OpConnect, 0) },
		},
		{
			"slow", false,
			func(_ *World, zk *zktest.Server) { zk.Delay(time.Minute) },
			func(_ *World, zk *zktest.Server) { zk.Delay(0) },
		},
		{
			"without an answer", false,
			func(_ *World, zk *zktest.Server) {
				zk.FailNext(zktest.OpGetChildren2, zktest.CodeRuntimeInconsistency, 1<<20)
			},
			func(_ *World, zk *zktest.Server) { zk.FailNext(zktest.OpGetChildren2, 0, 0) },
		},
	}
}
