package metrics

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryRowOfTheTableIsWhole(t *testing.T) {
	seen := make(map[string]bool)
	for _, m := range Table() {
		switch {
		case seen[m.Prometheus()]:
			t.Errorf("%s is there twice", m.Name)
		case !regexp.MustCompile(`^holdfast\.(discovery|registration|selector)(\.[a-z_]+)+$`).MatchString(m.Name):
			t.Errorf("name %q", m.Name)
		case !strings.HasSuffix(m.Help, ".") || len(m.Help) > 120:
			t.Errorf("%s: help %q", m.Name, m.Help)
		case m.Labels[0] != "name":
			t.Errorf("%s: labels %q", m.Name, m.Labels)
		case strings.HasSuffix(m.Name, ".timestamp") && m.Unit != "s", m.Kind == Counter && m.Unit == "":
			t.Errorf("%s: unit %q", m.Name, m.Unit)
		}
		seen[m.Prometheus()] = true
		for _, label := range m.Labels {
			if label == "instance" && !strings.HasPrefix(m.Name, "holdfast.selector.server.") {
				t.Errorf("%s has an address as a label", m.Name)
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("%d metrics", len(seen))
	}
}

func TestALabelIsShortValidAndOneOfAKind(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, s := range []string{"", "/rpcx/Arith", "<script>", "\x1b[31m", "\u202eevil", "\xff\xfe", long, long + "y", strings.Repeat("\xffa", 200), strings.Repeat("€", 200)} {
		got := label(s)
		if len(got) > maxLabel || !utf8.ValidString(got) {
			t.Errorf("%.40q: %d bytes, %q", s, len(got), got)
		}
		if len(s) <= maxLabel && utf8.ValidString(s) && got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	if label(long) == label(long+"y") || label("\xff") == label("\xfe") {
		t.Error("two values have become one")
	}
}

func TestAKindHasAName(t *testing.T) {
	for k := Gauge; k <= Counter; k++ {
		text, _ := k.MarshalText()
		var back Kind
		if back.UnmarshalText(text) != nil || back != k {
			t.Errorf("%v is %s, and %v", k, text, back)
		}
	}
}
