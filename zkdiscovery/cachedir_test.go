package zkdiscovery

import (
	"errors"
	"testing"
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
