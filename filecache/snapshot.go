package filecache

import (
	"math"
	"slices"
	"time"
)

// Snapshot is a service's list of servers as it was at one moment.
//
// Which of two snapshots is the later one? The one of the greater Era. In the same Era and Lineage, the one with the greater Zxid; if that is equal, too,
// the one with the later AsOf. In the same Era and different Lineages, the one with the later AsOf: their zxids have nothing to do with each other.
type Snapshot struct {
	Ensemble string // whose it is; Save writes the Cache's own
	Service  string // what it lists; Save writes the Cache's own

	// Lineage names one history of the registry: another one begins when the registry is wiped or replaced. Zxid grows within a lineage. Era counts the
	// histories that were accepted one after the other: it grows with a new lineage, and when a restored backup was recognised. A discovery that knows no
	// such thing leaves all three zero.
	Lineage string
	Era     int64
	Zxid    int64

	SavedAt time.Time // when it was written; Save stamps it
	AsOf    time.Time // when its source last confirmed it; its age counts from here

	Servers  []Server
	Override bool // an operator wrote it by hand; never saved

	Path string // the file that it was read from; not part of what is saved
}

// Server is one line of a Snapshot.
type Server struct {
	Key   string // network@address
	Value string // metadata, normally a URL query

	// HeldSince is when the server disappeared from its source although it is kept in the list; zero for a server that is listed.
	HeldSince time.Time
}

// stamp is what orders two snapshots of one service.
type stamp struct {
	lineage   string
	era, zxid int64
	asOf      time.Time
}

// beforeAll is the stamp of no snapshot.
var beforeAll = stamp{era: math.MinInt64}

func (s Snapshot) stamp() stamp {
	return stamp{lineage: s.Lineage, era: s.Era, zxid: s.Zxid, asOf: s.AsOf.Round(0)}
}

// after reports whether s is later than o. Zxids are compared within one lineage only: those of two lineages have nothing to do with
// each other, so there the source's clock has to do.
func (s stamp) after(o stamp) bool {
	switch {
	case s.era != o.era:
		return s.era > o.era
	case s.lineage == o.lineage && s.zxid != o.zxid:
		return s.zxid > o.zxid
	default:
		return s.asOf.After(o.asOf)
	}
}

// sameVersion reports whether s and o are the same state of the source, whenever it was confirmed.
func (s stamp) sameVersion(o stamp) bool {
	return s.era == o.era && s.lineage == o.lineage && s.zxid == o.zxid
}

// sameList reports whether a and b list the same servers with the same metadata, held or not.
func sameList(a, b []Server) bool {
	return slices.EqualFunc(a, b, func(x, y Server) bool { return x.Key == y.Key && x.Value == y.Value })
}
