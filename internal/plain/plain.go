// Package plain makes text from anywhere harmless to show: on a page, on a terminal, in a log.
package plain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s in at most about most bytes, on one line. What would do something instead of being seen is written as its number, \u202e for instance:
// control characters, those that change the direction of what follows, invisible ones, private ones, and what is not UTF-8. A backslash stays as it is.
// What is longer ends in an ellipsis and how many bytes there are.
func Text(s string, most int) string {
	if len(s) <= most && isPlain(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if b.Len() >= most {
			fmt.Fprintf(&b, "… (%d bytes)", len(s))
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case isSeen(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !isSeen(r) })
		}
	}
	return true
}

// isSeen reports whether r is something to be seen. A mark that is put over what comes before it is not: a hundred of them cover the lines above.
func isSeen(r rune) bool {
	return r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.In(r, unicode.M, unicode.Co)
}
