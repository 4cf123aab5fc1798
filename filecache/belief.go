package filecache

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/watchers"
)

// holdEmpty is how long a list without servers is not believed while there is a better one.
const holdEmpty = 5 * time.Minute

// belief is what a wrapped discovery's list should be, and why. Its methods do no I/O and read no clock. The lists in it do not change.
type belief struct {
	good watchers.List // the last list believed: the source's, or the file's while the source has said nothing; nil: nothing is known
	live bool          // good is the source's

	override   watchers.List // an operator's
	overridden bool

	// emptyFrom is when the source, which lists nothing, will be believed; zero while it lists something. This is where a guard that looks
	// closer at sudden losses belongs.
	emptyFrom time.Time
}

// heard is the belief after the source has said list.
func (b belief) heard(list watchers.List, now time.Time) belief {
	if len(list) > 0 || len(b.good) == 0 {
		b.good, b.live, b.emptyFrom = list, true, time.Time{}
	} else if b.emptyFrom.IsZero() {
		b.emptyFrom = now.Add(holdEmpty)
	}
	return b
}

// waited is the belief at the time now.
func (b belief) waited(now time.Time) belief {
	if !b.emptyFrom.IsZero() && !now.Before(b.emptyFrom) {
		b.good, b.live, b.emptyFrom = watchers.List{}, true, time.Time{}
	}
	return b
}

// told is the belief after Watch has said s: an override, or the file's snapshot and that there is no override.
func (b belief) told(s Snapshot) belief {
	if s.Override {
		b.override, b.overridden = listOf(s), true
		return b
	}
	b.override, b.overridden = nil, false
	return b.read(s)
}

// read is the belief after the file has said s; a snapshot that was never saved means that there is no file.
func (b belief) read(s Snapshot) belief {
	if !b.live && !s.SavedAt.IsZero() {
		b.good = listOf(s)
	}
	return b
}

// list is what to list; nil: nothing is known.
func (b belief) list() watchers.List {
	if b.overridden {
		return b.override
	}
	return b.good
}
