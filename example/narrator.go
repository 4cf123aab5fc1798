package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// narrator tells what happens, a line each, with the seconds since the start. It is given English, and speaks the language of words. Its methods may be
// called from anywhere, by the one who notices something.
type narrator struct {
	colour bool
	words

	mu    sync.Mutex // guards what follows; nothing else is locked under it
	out   io.Writer
	start time.Time
	since time.Time // the last change: news of the list are told with the time that they took from there
}

func newNarrator(out io.Writer, colour bool, w words) *narrator {
	now := time.Now()
	return &narrator{out: out, colour: colour, words: w, start: now, since: now}
}

// The escape sequences of the few styles.
const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	plain = "\x1b[0m"
)

func (n *narrator) in(style, text string) string {
	if !n.colour {
		return text
	}
	return style + text + plain
}

// heading begins a phase.
func (n *narrator) heading(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.title(n.text(format, args...))
}

// title writes what begins a phase or a table. The caller holds mu.
func (n *narrator) title(text string) {
	say(n.out, "\n%s\n", n.in(bold, hang(0, text)))
}

// say tells what somebody does or meets.
func (n *narrator) say(who, format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.line(time.Now(), who, n.text(format, args...), "")
}

// change tells what somebody does, and counts from now until the news of it arrive.
func (n *narrator) change(who, format string, args ...any) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.since = time.Now()
	n.line(n.since, who, n.text(format, args...), "")
	return n.since
}

// news tells what somebody has learnt at a time, and how long after the last change.
func (n *narrator) news(at time.Time, who, format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.line(at, who, n.text(format, args...), n.text("%s later", duration(at.Sub(n.since))))
}

// The columns of a line: the time and who it is about, what there is to say, and how much later that is.
const (
	width       = 80 // of a terminal
	whatColumn  = 20
	afterColumn = 67
)

// line writes one, or more if there is much to say. The caller holds mu.
func (n *narrator) line(at time.Time, who, what, after string) {
	elapsed := n.in(dim, fmt.Sprintf("%6.2f s", at.Sub(n.start).Seconds()))
	lines := fold(what, width-whatColumn)
	if last := lines[len(lines)-1]; after != "" {
		if columns(last) >= afterColumn-whatColumn {
			lines, last = append(lines, ""), ""
		}
		lines[len(lines)-1] = last + pad(last, afterColumn-whatColumn) + n.in(dim, after)
	}
	who = n.text(who)
	say(n.out, "%s  %s%s\n", elapsed, who+pad(who, 10), strings.Join(lines, "\n"+strings.Repeat(" ", whatColumn)))
}

// hang breaks text that begins in a column, so that all of it stands there.
func hang(column int, text string) string {
	return strings.Join(fold(text, width-column), "\n"+strings.Repeat(" ", column))
}

// fold breaks text into lines of a width, at spaces and between Chinese characters. A word that is longer has a line of its own.
func fold(text string, width int) (lines []string) {
	line, n := "", 0
	for word := range strings.SplitSeq(text, " ") {
		space := " "
		for _, piece := range pieces(word) {
			more := columns(piece)
			if n > 0 && n+len(space)+more > width {
				lines, line, n = append(lines, line), "", 0
			}
			if n > 0 {
				line, n = line+space, n+len(space)
			}
			line, n, space = line+piece, n+more, ""
		}
	}
	return append(lines, line)
}

// pad is what brings text to a width.
func pad(text string, width int) string {
	return strings.Repeat(" ", max(1, width-columns(text)))
}

// duration is d with as many digits as anybody wants to read.
func duration(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 1:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// count is n with commas.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
