package zkdiscovery

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/drive"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
)

// fileWait is how long the first list of ZooKeeper's waits for the file, which is the guard's memory over restarts. A disk that hangs delays a
// start no longer than that.
const fileWait = 250 * time.Millisecond

// belief is the configuration of a Belief that begins now.
func (c *config) belief() belief.Config {
	cfg := drive.Guard(c.guard).Config(c.noGuard)
	cfg.FileBy, cfg.MetadataOnce = time.Now().Add(fileWait), c.noMetadata
	return cfg
}

// believe tells the belief what ZooKeeper has said, and the mirror what the belief wants to know.
func (lp *loop) believe(now time.Time) {
	m, b := lp.mirror, lp.belief
	live := m.Phase() == mirror.Live
	if live {
		b.Live(m.Link(), lp.root.session.State().Timeout, now)
	}
	if m.Phase() != mirror.Cold {
		w := m.Whole()
		b.Listed(belief.Listing{
			Pairs: w.Pairs, Lineage: w.Lineage, Zxid: w.Zxid, Synced: w.Synced, Proof: w.Proof, Doubt: lp.doubted, Edits: w.Edits, AsOf: w.AsOf,
		}, now)
	}
	if !live {
		b.Away(now) // which the list was confirmed before
	}
	b.Tick(now)
	if n := b.Doubts(); n != lp.doubted {
		lp.doubted = n
		if b.Doubting() {
			m.Doubt()
		}
	}
}
