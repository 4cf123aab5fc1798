package main

import (
	"cmp"
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

// pathCell is cell of a path in normal form, in which the root is "".
func pathCell(path string) string { return cell(cmp.Or(path, "/")) }

// result writes v as JSON, or else what text writes.
func (a *app) result(v any, text func(w io.Writer)) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(v)
	}
	w := &keeping{Writer: a.out}
	text(w)
	return w.err
}

// keeping is a writer that keeps its first error.
type keeping struct {
	io.Writer
	err error
}

func (k *keeping) Write(b []byte) (int, error) {
	if k.err != nil {
		return 0, k.err
	}
	n, err := k.Writer.Write(b)
	k.err = err
	return n, err
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
		_, _ = fmt.Fprintln(w, strings.TrimRight(b.String(), " ")) // result keeps the error
	}
}

// terminal is where results go, if somebody looks at it.
func (a *app) terminal() (*os.File, bool) {
	f, ok := a.out.(*os.File)
	if !ok {
		return nil, false
	}
	info, err := f.Stat()
	return f, err == nil && info.Mode()&os.ModeCharDevice != 0
}

// colour paints a word where somebody looks, and NO_COLOR does not forbid it.
func (a *app) colour(code, s string) string {
	if _, looks := a.terminal(); !looks || a.env("NO_COLOR") != "" || a.env("TERM") == "dumb" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// line writes s as one line, or in a terminal that is too narrow as several, of which the further ones are indented.
func (a *app) line(s string, indent int, painted, code string) error {
	if f, looks := a.terminal(); looks {
		s = fold(s, width(f), indent)
	}
	if painted != "" {
		s = strings.Replace(s, painted, a.colour(code, painted), 1)
	}
	_, err := fmt.Fprintln(a.out, s)
	return err
}

// fold breaks text at its spaces, or where there is none, so that no line is wider than so many columns. 0 is any width.
func fold(s string, columns, indent int) string {
	if columns <= indent {
		return s
	}
	var b strings.Builder
	at := 0 // column
	for i, part := range strings.Split(s, " ") {
		n := utf8.RuneCountInString(part)
		switch {
		case i == 0:
		case at+1+n <= columns:
			b.WriteByte(' ')
			at++
		default:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		}
		for _, r := range part {
			if at == columns {
				b.WriteString("\n" + strings.Repeat(" ", indent))
				at = indent
			}
			b.WriteRune(r)
			at++
		}
	}
	return b.String()
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
