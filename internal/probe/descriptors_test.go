//go:build linux

package probe

import (
	"os"
	"testing"
)

func TestOpenDescriptorsAreNotFree(t *testing.T) {
	const files = 100
	before := freeDescriptors()
	for range files {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	// Connections of other tests may end meanwhile.
	if after := freeDescriptors(); after > before-files/2 {
		t.Errorf("%d were free, and with %d more files open %d", before, files, after)
	}
}
