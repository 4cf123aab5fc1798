package zkdiscovery

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// lockedBuffer is what a log is written to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Whoever may write below the base path chooses what is read there. Nothing of it may move a terminal's cursor, turn the direction of a line, begin a
// new line in a log, or fill the disk.
func TestHostileNamesAndMetadataAreHarmlessAndBoundedInTheLog(t *testing.T) {
	hostile := []struct{ name, metadata string }{
		{"<script>alert(1)<", "<script>alert(1)</script>"},
		{"\u202egnp.exe\u2066", "\x1b[2J\x1b]0;title\x07"},
		{"\u2028level=ERROR msg=forged", "\nlevel=ERROR msg=forged"},
		{"\u0301\u0302\u200b", "\x7f\xff\u009b31m"},
		{strings.Repeat("n", 300<<10), strings.Repeat("m", 900<<10)},
	}
	for name, handler := range map[string]func(*lockedBuffer) slog.Handler{
		"text": func(b *lockedBuffer) slog.Handler {
			return slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
		"json": func(b *lockedBuffer) slog.Handler {
			return slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, evil := range hostile {
				inBubble(t, func(w *world) {
					var out lockedBuffer
					w.put("Arith", "tcp@"+evil.name, "a=%zz"+evil.metadata)
					w.put("Arith", "lock-"+evil.name, evil.metadata)
					w.put("Arith", "tcp@b:1", "")
					w.put("Arith", "tcp@c:1", "")
					w.put("Arith", "tcp@secret-"+evil.name, "")
					if err := w.zk.SetACL("/rpcx/Arith/tcp@secret-"+evil.name, []zktest.ACL{{Perms: 31, Scheme: "digest", ID: "a:b"}}); err != nil {
						w.Fatal(err)
					}
					w.discover("Arith", WithLogger(slog.New(handler(&out))))
					pass(time.Minute)
					for _, key := range []string{"tcp@" + evil.name, "tcp@b:1", "tcp@c:1"} {
						if err := w.zk.Delete("/rpcx/Arith/" + key); err != nil {
							w.Fatal(err)
						}
					}
					pass(time.Hour)
					w.zk.Stop()
					pass(time.Minute)
					said := out.String()
					lines := []string{"metadata is not a URL query", "skipping children", "may not be read", "are missing"}
					if strings.ContainsFunc(evil.name, unicode.IsSpace) {
						lines = []string{"skipping children", "are missing"} // it is no instance
					}
					for _, line := range lines {
						if !strings.Contains(said, line) {
							w.Errorf("%.20q: %q is not in the log:\n%.3000s", evil.name, line, said)
						}
					}
					for _, never := range []string{"\x1b", "\x07", "\x7f", "\u009b", "\u202e", "\u2066", "\u2028", "\nlevel=ERROR msg=forged"} {
						if strings.Contains(said, never) {
							w.Errorf("%.20q: %q is in the log:\n%.3000q", evil.name, never, said)
						}
					}
					for line := range strings.Lines(said) {
						if len(line) > 4<<10 || !utf8.ValidString(line) {
							w.Errorf("%.20q: a line of %d bytes: %.200q", evil.name, len(line), line)
						}
					}
				})
			}
		})
	}
}
