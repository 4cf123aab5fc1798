package logs

import (
	"log/slog"
	"slices"

	"github.com/holdfast-go/holdfast/internal/plain"
)

// maxText is how many bytes of a string or an error are logged. An error may carry paths and another error.
const maxText = 1000

// harmless returns r with every string and error in plain text of bounded length: names come from ZooKeeper, where others choose them. Not every handler
// escapes what turns the direction of a line, and none bounds what it is given. What is plain and short stays as it is, with its type.
func harmless(r slog.Record) slog.Record {
	mended := false
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		m, changed := mend(a)
		attrs, mended = append(attrs, m), mended || changed
		return true
	})
	if !mended {
		return r
	}
	to := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	to.AddAttrs(attrs...)
	return to
}

func mend(a slog.Attr) (slog.Attr, bool) {
	var said string
	switch a.Value.Kind() {
	case slog.KindString:
		said = a.Value.String()
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case error:
			said = v.Error()
		case []string:
			return mendNames(a, v)
		default:
			return a, false
		}
	default:
		return a, false
	}
	shown := plain.Text(said, maxText)
	if shown == said {
		return a, false
	}
	return slog.String(a.Key, shown), true
}

// mendNames mends each of some names. How many there are is for the one who logs them to bound.
func mendNames(a slog.Attr, names []string) (slog.Attr, bool) {
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = plain.Text(name, maxText)
	}
	if slices.Equal(shown, names) {
		return a, false
	}
	return slog.Any(a.Key, shown), true
}
