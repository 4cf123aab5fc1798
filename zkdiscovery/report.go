package zkdiscovery

import (
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
)

// edge counts a change of how the list fares, and returns the level at which it is to be logged. A ZooKeeper that gives the list and refuses it by
// turns must not fill the log, nor hundreds of services that one connection takes with it: what names what they have in common.
func (sv *service) edge(level slog.Level, now time.Time, what string) slog.Level {
	level = sv.edges.Level(level, now, sv.log.Warn, "the list keeps changing between live and not, telling no more until it has settled")
	return sv.root.among(level, what, now)
}

// reportSettled tells how things are when they have stayed so after many changes.
func (sv *service) reportSettled(now time.Time) {
	if changes := sv.edges.Settled(now); changes > 0 {
		sv.log.Warn("the list has settled", "source", sv.logged, "changes", changes, "err", sv.mirror.Err())
	}
}

// report logs what the mirror noticed.
func (sv *service) report(n mirror.News, now time.Time) {
	if n.Mended > 0 {
		sv.log.Log(sv.ctx, sv.edge(slog.LevelWarn, now, "mended"), "found changes that no watch had told of, setting the watches again", "changes", n.Mended)
	}
	if len(n.BadMetadata) > 0 {
		sv.log.Log(sv.ctx, firstTime(&sv.reported.metadata), "metadata is not a URL query: rpcx ignores state and group in it",
			"instances", len(n.BadMetadata), "first", n.BadMetadata[0])
	}
	if len(n.Denied) > 0 {
		sv.log.Log(sv.ctx, firstTime(&sv.reported.denied), "instances may not be read: listed with the metadata known last",
			"instances", len(n.Denied), "first", n.Denied[0])
	}
	sv.note(func(st *serviceStatus) { st.Mended += int64(n.Mended) })
}

// firstTime is the level of what is said again and again: servers that rewrite such metadata all the time would fill the log.
func firstTime(said *bool) slog.Level {
	if *said {
		return slog.LevelDebug
	}
	*said = true
	return slog.LevelWarn
}

// reportSkipped says that some children are no instances, once until there are none any more: locks below the service's path come and go.
func (sv *service) reportSkipped() {
	skipped, one := sv.mirror.Skipped()
	if skipped == sv.skipped {
		return
	}
	if sv.skipped == 0 {
		sv.log.Log(sv.ctx, firstTime(&sv.reported.skipped), "skipping children whose name is not network@address", "children", skipped,
			"one_of_them", one)
	}
	sv.skipped = skipped
	sv.note(func(st *serviceStatus) { st.Skipped = skipped })
}
