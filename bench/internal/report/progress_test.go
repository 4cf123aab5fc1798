package report

import (
	"bytes"
	"strings"
	"testing"
)

func TestElsewhereThanOnATerminalProgressIsLines(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, 2)
	p.Step("one thing")
	p.Step("another")
	p.Close()
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "1/2  one thing") || !strings.HasSuffix(lines[1], "2/2  another") || strings.ContainsAny(b.String(), "\r\x1b") {
		t.Errorf("%q", b.String())
	}
}
