package zkdiscovery

import (
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
)

// shortSilence of ZooKeeper's is not worth a line in the log.
const shortSilence = 10 * time.Second

// told is what was logged.
type told struct {
	source   belief.Source // of the list
	skipped  int           // children that are no instances
	held     int64         // Belief.HeldVersion, as Status has it …
	someHeld bool          // … and whether that was anybody
}

// report logs what the mirror and the belief have noticed.
func (lp *loop) report(now time.Time) {
	if n := lp.mirror.TakeNews(); n.Any() {
		lp.reportNews(n)
	}
	lp.reportSkipped()
	lp.driver.Report(now)
}

func (lp *loop) reportNews(n mirror.News) {
	if n.Untold {
		lp.log.Warn("ZooKeeper's persistent watch does not tell what it should, watching each instance on this server for an hour",
			"server", lp.root.session.State().Server)
		lp.root.session.Distrust(lp.mirror.Link())
	}
	if n.Mended > 0 {
		lp.log.Warn("found changes that no watch had told of, setting the watches again", "changes", n.Mended)
		lp.note(func(st *serviceStatus) { st.Mended += int64(n.Mended) })
	}
	if len(n.BadMetadata) > 0 {
		lp.log.Warn("metadata is not a URL query: rpcx ignores state and group in it", "instances", len(n.BadMetadata), "first", n.BadMetadata[0])
	}
	if len(n.Denied) > 0 {
		lp.log.Warn("instances may not be read: listed with the metadata known last", "instances", len(n.Denied), "first", n.Denied[0])
	}
}

// reportSkipped says that some children are no instances, once until there are none any more: locks below the service's path come and go.
func (lp *loop) reportSkipped() {
	skipped, one := lp.mirror.Skipped()
	if skipped == lp.told.skipped {
		return
	}
	if lp.told.skipped == 0 {
		lp.log.Warn("skipping children whose name is not network@address", "children", skipped, "one_of_them", one)
	}
	lp.told.skipped = skipped
	lp.note(func(st *serviceStatus) { st.Skipped = skipped })
}

// logSource says when the list comes from somewhere else, and returns when to look again. A short silence of ZooKeeper's is no news: it is
// what a rolling restart of the ensemble looks like, to each service of each client.
func (lp *loop) logSource(now time.Time) (wake time.Time) {
	is, was := lp.current, lp.told.source
	if is == nil || is.Source == was {
		return time.Time{}
	}
	since := lp.published.since
	if due := since.Add(shortSilence); is.Source == belief.Stale && now.Before(due) {
		return due
	}
	lp.told.source = is.Source
	if was == belief.Override && is.Source != belief.None {
		lp.log.Warn("the operator's override file is gone", "source", Source(is.Source), "instances", len(is.Pairs))
	}
	switch is.Source {
	case belief.Live:
		level := slog.LevelInfo
		if was == belief.None && lp.resumed {
			level = slog.LevelDebug // a clone that is used now and then would say so each time
		}
		lp.log.Log(lp.ctx, level, "list is live", "instances", len(is.Pairs))
	case belief.Stale:
		lp.log.Warn("ZooKeeper cannot be asked, keeping the last list", "instances", len(is.Pairs), "since", since, "confirmed", is.AsOf)
	case belief.File:
		lp.log.Warn("ZooKeeper cannot be asked, list comes from the cache file", "instances", len(is.Pairs),
			"confirmed", is.AsOf, "age", now.Sub(is.AsOf).Round(time.Second), "file", lp.file.Path)
	case belief.Override:
		lp.log.Warn("list comes from the operator's override file, whatever ZooKeeper says, until that file is deleted",
			"instances", len(is.Pairs), "file", lp.file.Override.Path)
	case belief.None:
		lp.log.Warn("the override file is gone and nothing else is known, keeping its list", "instances", len(is.Pairs))
	}
	return time.Time{}
}
