package filecache

import (
	"testing"
	"time"
)

func TestLoadReturnsWhatWasSaved(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	_, err := c.Load()
	wantError(t, err, errNone)

	want := at(1, "tcp@10.0.0.1:8972", "tcp@10.0.0.2:8972")
	want.Era = 3
	want.Servers[1].HeldSince = noon.Add(-time.Minute)
	mustSave(t, c, want)
	wantSame(t, mustLoad(t, c), want)

	s, err := c.Load()
	if err != nil || s.Ensemble != "zk1:2181" || s.Service != "/prod/rpcx/Arith" || time.Since(s.SavedAt) > time.Minute {
		t.Fatalf("loaded %+v, %v: want the Cache's own names and a fresh SavedAt", s, err)
	}
}

func TestSaveNeverGoesBackInTime(t *testing.T) {
	later := func(s Snapshot, d time.Duration) Snapshot { s.AsOf = s.AsOf.Add(d); return s }
	lineage := func(s Snapshot, l string) Snapshot { s.Lineage = l; return s }
	era := func(s Snapshot, e int64) Snapshot { s.Era = e; return s }
	cur := era(at(10, "tcp@a:1", "tcp@b:1"), 2)
	for _, tt := range []struct {
		rule    string
		s       Snapshot
		refused bool
	}{
		{"a greater zxid replaces", era(at(11, "tcp@a:1"), 2), false},
		{"a greater zxid replaces even if confirmed earlier", later(era(at(11, "tcp@a:1"), 2), -time.Hour), false},
		{"a smaller zxid is refused", era(at(9, "tcp@a:1"), 2), true},
		{"a smaller zxid is refused even if confirmed later", later(era(at(9, "tcp@a:1"), 2), time.Hour), true},
		{"the same list confirmed later replaces", later(cur, time.Second), false},
		{"the same list confirmed earlier is nothing to write", later(cur, -time.Second), false},
		{"another list of the same zxid replaces if confirmed later", later(era(at(10, "tcp@a:1"), 2), time.Second), false},
		{"another list of the same zxid and time is refused", era(at(10, "tcp@a:1"), 2), true},
		{"a greater era replaces whatever the rest", later(era(at(1, "tcp@a:1"), 3), -time.Hour), false},
		{"a smaller era is refused whatever the rest", later(era(at(99, "tcp@a:1"), 1), time.Hour), true},
		{"another lineage of the same era replaces if confirmed later", later(lineage(era(at(1, "tcp@a:1"), 2), "two"), time.Hour), false},
		{"another lineage of the same era is refused if not", lineage(era(at(10, "tcp@a:1"), 2), "two"), true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := mustOpen(t, t.TempDir())
			mustSave(t, c, cur)
			err := c.Save(tt.s)
			if !tt.refused {
				if err != nil {
					t.Fatal(err)
				}
				want := tt.s
				if want.AsOf.Before(cur.AsOf) && sameList(want.Servers, cur.Servers) {
					want = cur
				}
				wantSame(t, mustLoad(t, c), want)
				return
			}
			wantError(t, err, ErrNewer)
			wantSame(t, mustLoad(t, c), cur)
		})
	}
}
