package main

import "testing"

func TestLinesAreFoldedAtTheWidthOfTheTerminal(t *testing.T) {
	for _, tc := range []struct {
		rule, text string
		columns    int
		want       string
	}{
		{"short ones stay", "ab cd", 5, "ab cd"},
		{"the width is not known", "ab cd ef", 0, "ab cd ef"},
		{"less room than the indentation", "ab cd ef", 2, "ab cd ef"},
		{"at spaces", "ab cd ef", 5, "ab cd\n  ef"},
		{"a word that fits nowhere is cut", "abcdefgh", 5, "abcde\n  fgh"},
		{"behind another, too", "ab cdefghij", 5, "ab\n  cde\n  fgh\n  ij"},
		{"spaces stay", "a  b", 9, "a  b"},
		{"runes are not cut", "äöüäöü", 4, "äöüä\n  öü"},
		{"an indented text", "    ab cd", 7, "    ab\n  cd"},
	} {
		if got := fold(tc.text, tc.columns, 2); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.rule, got, tc.want)
		}
	}
}
