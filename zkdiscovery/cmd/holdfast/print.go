package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/internal/plain"
)

// maxCell is how many bytes of what comes from outside are shown in one place.
const maxCell = 200

// cell makes text from outside harmless to a terminal.
func cell(s string) string { return plain.Text(s, maxCell) }

// result writes v as JSON, or else what text writes.
func (a *app) result(v any, text func(w io.Writer)) error {
	if !a.json {
		text(a.out)
		return nil
	}
	return json.NewEncoder(a.out).Encode(v)
}

// note tells a person something that is no result.
func (a *app) note(format string, args ...any) {
	_, _ = fmt.Fprintf(a.diag, format+"\n", args...) // nobody is there to be told that it fails
}

// table writes rows in columns. The last column is as wide as it is.
func table(w io.Writer, head []string, rows [][]string) {
	widths := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i, s := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(s))
		}
	}
	for _, row := range append([][]string{head}, rows...) {
		var b strings.Builder
		for i, s := range row {
			b.WriteString(s)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s)+2))
			}
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(b.String(), " ")) // as above
	}
}

// colour paints a word where somebody looks, and NO_COLOR does not forbid it.
func (a *app) colour(code, s string) string {
	f, ok := a.out.(*os.File)
	if !ok || a.env("NO_COLOR") != "" || a.env("TERM") == "dumb" {
		return s
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// age is how long something is, in one unit.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "in the future"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}
