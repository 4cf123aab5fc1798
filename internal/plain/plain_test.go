package plain

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTextIsHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"weight=5&state=inactive":   "weight=5&state=inactive",
		"größe 数":                   "größe 数",
		"a\x1b[31mred\x1b[0m":       `a\u001b[31mred\u001b[0m`,
		"a\nb\tc\r":                 `a\u000ab\u0009c\u000d`,
		"\u202egnp.exe":             `\u202egnp.exe`,
		"a\u200bb\ufeff\u2028":      `a\u200bb\ufeff\u2028`,
		"\xff\xfea":                 `\xff\xfea`,
		"\ufffd":                    "\ufffd",
		"\u00a0":                    `\u00a0`,
		"e\u0301":                   `e\u0301`,
		"\U000e0041":                `\U000e0041`,
		"<script>alert(1)</script>": "<script>alert(1)</script>", // the page's own business
		`C:\u0041`:                  `C:\u0041`,
	} {
		if got := Text(in, 100); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestTextIsShort(t *testing.T) {
	if got := Text(strings.Repeat("x", 1<<20), 10); got != "xxxxxxxxxx… (1048576 bytes)" {
		t.Error(got)
	}
	if got := Text(strings.Repeat("\x1b", 1<<20), 10); len(got) > 50 {
		t.Error(got)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b\u202e\xff", 3)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = max(0, most%1000)
		got := Text(s, most)
		if !utf8.ValidString(got) || len(got) > most+50 || strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			t.Errorf("%q: %q", s, got)
		}
	})
}
