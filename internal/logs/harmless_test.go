package logs

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestTextFromOutsideIsPlainAndBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, tc := range map[string]struct {
		value any
		want  string
	}{
		"a name":             {"tcp@a:1", `"v":"tcp@a:1"`},
		"a number":           {7, `"v":7`},
		"right to left":      {"a\u202eb", `"v":"a\\u202eb"`},
		"an escape":          {"a\x1b[31m", `"v":"a\\u001b[31m"`},
		"an error":           {errors.New("a\u202eb"), `"v":"a\\u202eb"`},
		"an error of one's":  {errors.New("a"), `"v":"a"`},
		"names":              {[]string{"a", "b"}, `"v":["a","b"]`},
		"names from outside": {[]string{"a\u202e", "b"}, `"v":["a\\u202e","b"]`},
		"too long":           {long, `… (1048576 bytes)`},
		"too long an error":  {errors.New(long), `… (1048576 bytes)`},
		"too many names":     {[]string{long, "b"}, `["` + strings.Repeat("x", maxText) + `… (1048576 bytes)"`},
	} {
		var b bytes.Buffer
		Limited(slog.New(slog.NewJSONHandler(&b, nil))).Info("said", "v", tc.value)
		if got := b.String(); !strings.Contains(got, tc.want) || len(got) > 2*maxText {
			t.Errorf("%s: %d bytes, %.300q", name, len(got), got)
		}
	}
}
