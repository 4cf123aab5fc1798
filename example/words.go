package main

import (
	"fmt"
	"unicode"
)

// words are what the drill says, in another language than English: a table by the English text, placeholders and all.
type words map[string]string

// languages are those that the drill speaks.
var languages = map[string]words{"en": nil, "zh": chinese}

// text says in w's language what format says in English.
func (w words) text(format string, args ...any) string {
	if said, ok := w[format]; ok {
		format = said
	}
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// calls is a number of calls and how many of them failed.
func (w words) calls(n, failed int) string {
	if failed == 0 {
		return w.text("%s calls, none failed", count(n))
	}
	return w.text("%s calls, %s failed", count(n), count(failed))
}

// list is describe, with a word for a list that is empty.
func (w words) list(servers map[string]string) string { return w.text(describe(servers)) }

// columns is how wide text is on a terminal, where a Chinese character takes two.
func columns(text string) (n int) {
	for _, r := range text {
		n++
		if isWide(r) {
			n++
		}
	}
	return n
}

func isWide(r rune) bool {
	return unicode.Is(unicode.Han, r) || r >= 0x3000 && r <= 0x303f || r >= 0xff01 && r <= 0xff60 // punctuation
}

// pieces are the parts of a word between which a line may be broken: after each Chinese character, but not ahead of what ends a part of a sentence.
func pieces(word string) (all []string) {
	begin, last := 0, rune(0)
	for i, r := range word {
		closes := isWide(r) && unicode.IsPunct(r)
		if i > 0 && (isWide(last) || isWide(r)) && !closes {
			all, begin = append(all, word[begin:i]), i
		}
		last = r
	}
	return append(all, word[begin:])
}
