package zkdiscovery

import "log/slog"

// report logs what the mirror noticed.
func (sv *service) report(n news) {
	if n.mended > 0 {
		sv.log.Warn("found changes that no watch had told of, setting the watches again", "changes", n.mended)
	}
	if len(n.badMetadata) > 0 {
		sv.log.Log(sv.ctx, firstTime(&sv.reported.metadata), "metadata is not a URL query: rpcx ignores state and group in it",
			"instances", len(n.badMetadata), "first", n.badMetadata[0])
	}
	if len(n.denied) > 0 {
		sv.log.Log(sv.ctx, firstTime(&sv.reported.denied), "instances may not be read: listed with the metadata known last",
			"instances", len(n.denied), "first", n.denied[0])
	}
	sv.note(func(st *serviceStatus) { st.Mended += int64(n.mended) })
}

// firstTime is the level of what is said again and again: servers that rewrite such metadata all the time would fill the log.
func firstTime(said *bool) slog.Level {
	if *said {
		return slog.LevelDebug
	}
	*said = true
	return slog.LevelWarn
}

// reportSkipped says, once until there are none any more, that some children are no instances.
func (sv *service) reportSkipped() {
	m := sv.mirror
	if m.skipped > 0 && !sv.skipping {
		sv.log.Warn("skipping children whose name is not network@address", "children", m.skipped, "one_of_them", m.odd)
	}
	sv.skipping = m.skipped > 0
}
