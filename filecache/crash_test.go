package filecache

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// F1, with the power cut: at every moment of a sequence of saves, whatever part of what was not synced had reached the disk, the next process
// finds the last snapshot that was saved or the one that was being saved, needs to set nothing aside, and can save.
func TestPowerCutLosesNothingThatWasSaved(t *testing.T) {
	held := at(3, "tcp@a:1", "tcp@c:1")
	held.Servers[0].HeldSince = noon
	restamped := at(2, "tcp@b:1")
	restamped.AsOf = restamped.AsOf.Add(time.Minute)
	sequence := []Snapshot{at(1, "tcp@a:1"), at(2, "tcp@b:1"), restamped, held, at(4), at(5, "tcp@d:1"), at(6, "tcp@e:1")}

	for _, disk := range []struct {
		name string
		fsys func(m *memFS) fileSystem
	}{
		{"with hard links", func(m *memFS) fileSystem { return m }},
		{"without hard links", func(m *memFS) fileSystem { return linkless{m} }},
	} {
		t.Run(disk.name, func(t *testing.T) {
			m := newMemFS()
			c := onMemory(t, disk.fsys(m), &lines{})
			saved, cuts := -1, 0 // saved: index of the last snapshot that Save has returned for
			cut := func() {
				for journalled := range len(m.journal) + 1 {
					for _, written := range []float64{0, 0.5, 1} {
						cuts++
						allowed := sequence[max(saved, 0):min(saved+2, len(sequence))]
						afterPowerCut(t, m.afterCrash(journalled, written), disk.fsys, allowed, saved < 0)
					}
				}
			}
			m.changing = cut
			for i, s := range sequence {
				mustSave(t, c, s)
				saved = i
				cut()
			}
			t.Logf("%d power cuts", cuts)
		})
	}
}

func afterPowerCut(t *testing.T, m *memFS, fsys func(*memFS) fileSystem, allowed []Snapshot, orNothing bool) {
	t.Helper()
	logs := &lines{}
	c := onMemory(t, fsys(m), logs)
	s, err := c.Load()
	ok := orNothing && errors.Is(err, errNone)
	for _, a := range allowed {
		ok = ok || err == nil && equalSnapshots(s, a)
	}
	if !ok || logs.String() != "" {
		t.Fatalf("Load returns %+v, %v from %s, log %q", s, err, m.paths(), logs)
	}
	for n := range int64(2) {
		next := at(100+n, fmt.Sprintf("tcp@z:%d", n))
		mustSave(t, c, next)
		wantSame(t, mustLoad(t, c), next)
	}
	for path := range m.names {
		if strings.HasSuffix(path, "link") {
			t.Fatalf("%s is left for ever", path)
		}
	}
}

func onMemory(tb testing.TB, fsys fileSystem, logs *lines) *Cache {
	tb.Helper()
	return onFaults(tb, "/cache", fsys, logs)
}

// linkless is a disk without hard links.
type linkless struct{ fileSystem }

func (linkless) link(string, string) error { return errors.ErrUnsupported }

// The predecessor is always another list, also when the same list is confirmed again and again, and survives with the file.
func TestPredecessorIsTheListBefore(t *testing.T) {
	for name, fsys := range map[string]fileSystem{"disk": disk{}, "disk without hard links": linkless{disk{}}} {
		t.Run(name, func(t *testing.T) {
			c := onFaults(t, t.TempDir(), fsys, &lines{})
			mustSave(t, c, at(1, "tcp@a:1"))
			mustSave(t, c, at(2, "tcp@b:1"))
			for i := range 5 {
				s := at(2, "tcp@b:1")
				s.AsOf = s.AsOf.Add(time.Duration(i) * time.Minute)
				s.Servers[0].HeldSince = noon.Add(time.Duration(i) * time.Minute)
				mustSave(t, c, s)
			}
			s := at(3, "tcp@b:1") // a later zxid, and yet the same list
			mustSave(t, c, s)
			write(t, c.Path(), "damaged")
			wantSame(t, mustLoad(t, c), at(1, "tcp@a:1"))
		})
	}
}
