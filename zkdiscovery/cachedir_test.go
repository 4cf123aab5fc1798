package zkdiscovery

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Met as a client that had started while its home directory was not mounted yet, and had no cache file for the rest of its life.
func TestACacheDirectoryThatIsNotFoundIsLookedForAgain(t *testing.T) {
	looks, away := 0, errors.New("not mounted")
	find := onceFound(func() (string, error) {
		if looks++; looks < 3 {
			return "", away
		}
		return "/home/holdfast", nil
	})
	for range 2 {
		if _, err := find(); !errors.Is(err, away) {
			t.Errorf("error %v", err)
		}
	}
	for range 2 {
		if dir, err := find(); dir != "/home/holdfast" || err != nil {
			t.Errorf("%q, %v", dir, err)
		}
	}
	if looks != 3 {
		t.Errorf("%d looks", looks)
	}
}

// An override is for an emergency, in which the cache directory may be what is broken.
func TestAnOverrideElsewhereCountsWithoutACacheDirectory(t *testing.T) {
	file, operators := filepath.Join(t.TempDir(), "file"), t.TempDir()
	for path, text := range map[string]string{file: "", filepath.Join(operators, "rpcx__Arith.json"): `["tcp@o:1"]`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@a:1", "")
		d := w.discover("Arith", WithCacheDir(filepath.Join(file, "cache")), WithOverrideDir(operators))
		pass(time.Minute)
		w.source(d, Override)
		w.lists(d, "tcp@o:1")
		if st := d.Status(); st.CacheErr == nil {
			t.Errorf("status %v", st)
		}
	})
}
