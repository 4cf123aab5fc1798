package zkdiscovery

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/mirror"
)

// said is one thing that a history is told: a file, or a list.
type said struct {
	file     *generation
	inTheWay bool
	list     *mirror.Whole
	doubt    bool // what it answers
}

func TestHistory(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	file := func(lineage string, era, zxid int64, inTheWay, doubt bool) said {
		return said{file: &generation{lineage, era, zxid}, inTheWay: inTheWay, doubt: doubt}
	}
	list := func(lineage string, zxid int64) said {
		return said{list: &mirror.Whole{Lineage: lineage, Zxid: zxid, AsOf: at}}
	}
	synced := func(lineage string, zxid int64) said {
		return said{list: &mirror.Whole{Lineage: lineage, Zxid: zxid, AsOf: at, Synced: true}}
	}
	proof := func(lineage string, zxid int64) said {
		return said{list: &mirror.Whole{Lineage: lineage, Zxid: zxid, AsOf: at, Synced: true, Proof: true}}
	}
	early := func(s said, doubt bool) said { s.list.AsOf = at.Add(-time.Second); s.doubt = doubt; return s }
	for _, tc := range []struct {
		name string
		says []said
		want generation
	}{
		{"the first list begins era 1", []said{proof("a", 5)}, generation{"a", 1, 5}},
		{"a missing path is a list too", []said{proof("", 0)}, generation{"", 1, 0}},
		{"the file's history goes on", []said{file("a", 5, 7, false, false), proof("a", 7)}, generation{"a", 5, 7}},
		{"the path was restored from a backup while nobody looked", []said{file("a", 5, 17, false, false), proof("a", 7)}, generation{"a", 6, 7}},
		{"what was not read while nobody looked is no backup", []said{file("a", 5, 17, false, false), synced("a", 7)}, generation{"a", 5, 17}},
		{"another history follows the file's", []said{file("f", 5, 100, false, false), proof("a", 7)}, generation{"a", 6, 7}},
		{"another lineage begins an era", []said{proof("a", 5), list("b", 1)}, generation{"b", 2, 1}},
		{"one change after the other is one era", []said{proof("a", 5), list("a", 6), proof("a", 8)}, generation{"a", 1, 8}},
		{"a list without a proof never goes back", []said{proof("a", 5), synced("a", 4), list("a", 3)}, generation{"a", 1, 5}},
		{"a restored backup begins an era", []said{proof("a", 5), proof("a", 4)}, generation{"a", 2, 4}},
		{"and only one", []said{proof("a", 5), proof("a", 4), proof("a", 4), list("a", 6)}, generation{"a", 2, 6}},

		{"a file that came after the list was asked for proves nothing", []said{
			file("a", 5, 8, false, false), early(proof("a", 7), true), proof("a", 8),
		}, generation{"a", 5, 8}},
		{"nor does it hide a backup", []said{file("a", 5, 8, false, false), early(proof("a", 7), true), proof("a", 7)}, generation{"a", 6, 7}},

		{"an older file says nothing", []said{proof("a", 5), file("a", 1, 4, true, false)}, generation{"a", 1, 5}},
		{"the same file says nothing", []said{proof("a", 5), file("a", 1, 5, true, false)}, generation{"a", 1, 5}},
		{"a sibling was told first", []said{proof("a", 5), file("a", 1, 6, false, false), list("a", 6)}, generation{"a", 1, 6}},
		{"a file that is ahead decides nothing before ZooKeeper was asked", []said{proof("a", 5), file("a", 1, 9, true, true), list("a", 6)}, generation{"a", 1, 6}},
		{"ZooKeeper has only to catch up with the file", []said{proof("a", 5), file("a", 1, 6, true, true), proof("a", 7)}, generation{"a", 1, 7}},
		{"what the file had was undone by a backup", []said{proof("a", 5), file("a", 1, 9, true, true), proof("a", 6)}, generation{"a", 2, 6}},
		{"what the file had cannot be read by everybody", []said{proof("a", 5), file("a", 1, 9, true, true), synced("a", 6)}, generation{"a", 1, 9}},
		{"and is no backup later", []said{proof("a", 5), file("a", 1, 9, true, true), synced("a", 6), list("a", 7)}, generation{"a", 1, 9}},
		{"of two files, the one that is most ahead counts", []said{
			proof("a", 5), file("a", 1, 14, true, true), file("a", 1, 7, true, true), proof("a", 10),
		}, generation{"a", 2, 10}},
		{"a later era of our lineage is ours", []said{proof("a", 5), file("a", 5, 5, true, true), proof("a", 5)}, generation{"a", 5, 5}},
		{"an earlier era is not", []said{proof("a", 5), proof("a", 4), file("a", 1, 9, true, false)}, generation{"a", 2, 4}},
		{"a sibling has seen the new lineage first", []said{proof("a", 5), file("b", 2, 1, true, true), proof("b", 1)}, generation{"b", 2, 1}},
		{"another lineage is earlier than ours, which ZooKeeper says now", []said{
			proof("a", 5), file("f", 3, 5, true, true), proof("a", 5),
		}, generation{"a", 4, 5}},
		{"two lineages that both are not ours any more", []said{proof("a", 5), file("f", 3, 5, true, true), proof("b", 5)}, generation{"b", 4, 5}},
		{"another lineage in nobody's way says nothing", []said{proof("a", 5), file("f", 3, 5, false, false), proof("a", 5)}, generation{"a", 1, 5}},
		{"another lineage of an earlier era says nothing", []said{
			proof("a", 5), proof("a", 4), file("f", 1, 5, true, false),
		}, generation{"a", 2, 4}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var h history
			for i, s := range tc.says {
				var doubt bool
				if s.file != nil {
					doubt = h.found(*s.file, s.inTheWay, at)
				} else {
					doubt = h.listed(*s.list)
				}
				if doubt != s.doubt {
					t.Errorf("%d: doubts %v, want %v", i, doubt, s.doubt)
				}
			}
			if h.generation != tc.want {
				t.Errorf("%+v, want %+v", h.generation, tc.want)
			}
		})
	}
}
