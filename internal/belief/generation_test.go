package belief

import (
	"slices"
	"testing"
	"time"
)

func TestErasComeBeforeZxids(t *testing.T) {
	order := []Generation{{"a", 1, 5}, {"a", 1, 6}, {"b", 2, 1}, {"b", 2, 2}, {"a", 3, 0}}
	for i := range order {
		for j := range order {
			if got := order[i].Before(order[j]); got != (i < j) {
				t.Errorf("%v before %v: %v", order[i], order[j], got)
			}
		}
	}
}

// pass is a list of the registry's, by how it was read.
type pass struct {
	lineage string
	zxid    int64
	how     read
}

type read uint8

const (
	_       read = iota // a file's
	once                // like plain, by somebody who reads the metadata of an instance once
	plain               // after no sync
	synced              // after a sync, but not everything could be read
	whole               // after a sync, everything was read
	earlier             // like whole, and begun before the newest doubt was raised
)

// step is a pass, or what the file has.
type step struct {
	pass
	file     Generation
	inTheWay bool
	away     bool // the registry cannot be asked, when the file is found
}

func (p pass) then(steps ...step) []step { return append([]step{{pass: p}}, steps...) }

func read1(lineage string, zxid int64, how read) step { return step{pass: pass{lineage, zxid, how}} }

func found(lineage string, era, zxid int64) step { return step{file: Generation{lineage, era, zxid}} }

func refused(lineage string, era, zxid int64) step {
	return step{file: Generation{lineage, era, zxid}, inTheWay: true}
}

func away(lineage string, era, zxid int64) step {
	return step{file: Generation{lineage, era, zxid}, away: true}
}

func TestAnEraBeginsOnlyWithAnotherLineageOrARestoredBackup(t *testing.T) {
	a5 := pass{"a", 5, whole}
	for name, rule := range map[string]struct {
		steps []step
		want  Generation
		open  bool // a doubt
	}{
		"the first list":                        {a5.then(), Generation{"a", 1, 5}, false},
		"a later list":                          {a5.then(read1("a", 7, plain)), Generation{"a", 1, 7}, false},
		"another lineage":                       {a5.then(read1("b", 1, plain)), Generation{"b", 2, 1}, false},
		"the path is gone":                      {a5.then(read1("", 0, plain)), Generation{"", 2, 0}, false},
		"a path that never was, and is made":    {[]step{read1("", 0, whole), read1("a", 5, plain)}, Generation{"a", 2, 5}, false},
		"an earlier list, after no sync":        {a5.then(read1("a", 3, plain)), Generation{"a", 1, 5}, false},
		"an earlier list, not all of it read":   {a5.then(read1("a", 3, synced)), Generation{"a", 1, 5}, false},
		"an earlier list, all of it read":       {a5.then(read1("a", 3, whole)), Generation{"a", 2, 3}, false},
		"the same list, all of it read":         {a5.then(read1("a", 5, whole)), Generation{"a", 1, 5}, false},
		"restored, and then restored once more": {a5.then(read1("a", 3, whole), read1("a", 2, whole)), Generation{"a", 3, 2}, false},

		"the file is older":                                 {a5.then(refused("a", 1, 3)), Generation{"a", 1, 5}, false},
		"the file is later, and in nobody's way":            {a5.then(found("a", 1, 7)), Generation{"a", 1, 5}, false},
		"the file is later, and in the way":                 {a5.then(refused("a", 1, 7)), Generation{"a", 1, 5}, true},
		"and there is a plain list before it":               {a5.then(refused("a", 1, 7), read1("a", 6, plain)), Generation{"a", 1, 6}, true},
		"and a plain list catches up":                       {a5.then(refused("a", 1, 7), read1("a", 7, plain)), Generation{"a", 1, 7}, false},
		"and one that read metadata once does":              {a5.then(refused("a", 1, 7), read1("a", 7, once)), Generation{"a", 1, 7}, true},
		"unless it has read them all":                       {a5.then(read1("a", 5, once), refused("a", 1, 7), read1("a", 7, earlier)), Generation{"a", 1, 7}, false},
		"and a pass begun before it is no later":            {a5.then(refused("a", 1, 7), read1("a", 6, earlier)), Generation{"a", 1, 6}, true},
		"and a synced pass that may not read all":           {a5.then(refused("a", 1, 7), read1("a", 6, synced)), Generation{"a", 1, 7}, false},
		"and a whole pass that is as late":                  {a5.then(refused("a", 1, 7), read1("a", 7, whole)), Generation{"a", 1, 7}, false},
		"and a whole pass that is not":                      {a5.then(refused("a", 1, 7), read1("a", 6, whole)), Generation{"a", 2, 6}, false},
		"the most ahead of two files decides":               {a5.then(refused("a", 1, 9), refused("a", 1, 7), read1("a", 8, whole)), Generation{"a", 2, 8}, false},
		"the file gets ahead further during a pass":         {a5.then(refused("a", 1, 7), refused("a", 1, 9), read1("a", 7, earlier)), Generation{"a", 1, 7}, true},
		"a wiped registry begins one era only":              {a5.then(refused("a", 1, 99), read1("b", 1, whole)), Generation{"b", 2, 1}, false},
		"a wiped one, told by a pass begun before":          {a5.then(refused("a", 1, 99), read1("b", 1, earlier)), Generation{"a", 1, 5}, true},
		"and then by one begun after":                       {a5.then(refused("a", 1, 99), read1("b", 1, earlier), read1("b", 2, whole)), Generation{"b", 2, 2}, false},
		"the file is ahead while the registry is away":      {a5.then(away("a", 1, 7)), Generation{"a", 1, 5}, true},
		"and the registry is restored":                      {a5.then(away("a", 1, 7), read1("a", 6, whole)), Generation{"a", 2, 6}, false},
		"and the registry is as it was":                     {a5.then(away("a", 1, 7), read1("a", 8, whole)), Generation{"a", 1, 8}, false},
		"another process knows a later era":                 {a5.then(refused("a", 3, 4)), Generation{"a", 1, 5}, true},
		"and a synced pass says the same":                   {a5.then(refused("a", 3, 4), read1("a", 4, synced)), Generation{"a", 3, 4}, false},
		"and a synced pass has what it knew before":         {a5.then(refused("a", 3, 4), read1("a", 5, synced)), Generation{"a", 3, 4}, false},
		"and lists go on from there":                        {a5.then(refused("a", 3, 4), read1("a", 5, synced), read1("a", 5, plain)), Generation{"a", 3, 4}, false},
		"and there is a later one":                          {a5.then(refused("a", 3, 4), read1("a", 5, synced), read1("a", 7, plain)), Generation{"a", 3, 7}, false},
		"and one of which all is read":                      {a5.then(refused("a", 3, 4), read1("a", 6, synced), read1("a", 5, whole)), Generation{"a", 3, 5}, false},
		"and a whole pass is earlier even than that":        {a5.then(refused("a", 3, 4), read1("a", 2, whole)), Generation{"a", 4, 2}, false},
		"and a whole pass has grown past it":                {a5.then(refused("a", 3, 4), read1("a", 6, whole)), Generation{"a", 3, 6}, false},
		"and a plain list says nothing":                     {a5.then(refused("a", 3, 4), read1("a", 6, plain)), Generation{"a", 1, 6}, true},
		"a file of an earlier era says nothing":             {a5.then(read1("a", 3, whole), refused("a", 1, 9)), Generation{"a", 2, 3}, false},
		"a file of another lineage in nobody's way":         {a5.then(found("f", 3, 9)), Generation{"a", 1, 5}, false},
		"a file of another lineage in the way":              {a5.then(refused("f", 3, 9)), Generation{"a", 1, 5}, true},
		"and the registry says that it is not so any more":  {a5.then(refused("f", 3, 9), read1("a", 5, synced)), Generation{"a", 4, 5}, false},
		"and the registry says so, too":                     {a5.then(refused("f", 3, 9), read1("f", 9, synced)), Generation{"f", 3, 9}, false},
		"and a plain list says so, not as late":             {a5.then(refused("f", 3, 9), read1("f", 8, plain)), Generation{"a", 1, 5}, true},
		"and a plain list of a greater zxid says nothing":   {a5.then(refused("f", 1, 3), read1("a", 6, plain)), Generation{"a", 1, 6}, true},
		"and an era that begins meanwhile is later":         {a5.then(refused("f", 1, 3), read1("a", 4, earlier)), Generation{"a", 2, 4}, false},
		"which has counted fewer eras":                      {a5.then(read1("b", 5, whole), refused("f", 2, 9), read1("f", 9, synced)), Generation{"f", 3, 9}, false},
		"and the registry is restored to before":            {a5.then(refused("f", 3, 9), read1("f", 8, whole)), Generation{"f", 4, 8}, false},
		"and the registry is of a third":                    {a5.then(refused("f", 3, 9), read1("g", 1, synced)), Generation{"g", 4, 1}, false},
		"and the registry was of a third":                   {a5.then(refused("f", 3, 9), read1("g", 1, plain), read1("f", 9, synced)), Generation{"f", 3, 9}, false},
		"a file of another lineage and an earlier era":      {a5.then(read1("b", 5, whole), refused("a", 1, 9)), Generation{"b", 2, 5}, false},
		"a file without zxids, of a later era, is followed": {[]step{read1("", 0, whole), refused("", 5, 0)}, Generation{"", 5, 0}, false},

		"the era's count goes on from the file":               {[]step{found("a", 5, 5), read1("a", 5, whole)}, Generation{"a", 5, 5}, false},
		"the path was restored while nobody looked":           {[]step{found("a", 5, 9), read1("a", 5, whole)}, Generation{"a", 6, 5}, false},
		"it may not all be read, which another process could": {[]step{found("a", 5, 9), read1("a", 5, synced)}, Generation{"a", 5, 9}, false},
		"the file has another lineage":                        {[]step{found("f", 5, 9), read1("a", 5, whole)}, Generation{"a", 6, 5}, false},
		"the first pass is older than the file, and of a lineage that is gone": {
			[]step{found("f", 5, 9), read1("a", 5, earlier), read1("f", 9, whole)}, Generation{"f", 5, 9}, false,
		},
		"the first pass began before the file was read, and is no later": {[]step{found("a", 5, 9), read1("a", 5, earlier)}, Generation{"a", 5, 5}, true},
	} {
		b := newBench(t, Config{MetadataOnce: slices.ContainsFunc(rule.steps, func(s step) bool { return s.how == once })})
		var before int64
		for _, s := range rule.steps {
			b.now = b.now.Add(time.Second)
			if s.file.Era == 0 {
				l := Listing{Lineage: s.lineage, Zxid: s.zxid, Synced: s.how >= synced, Proof: s.how >= whole, Doubt: b.b.Doubts(), AsOf: b.now}
				if s.how == earlier {
					l.Doubt = before
				}
				if !b.b.heard.live {
					b.link++
				}
				b.b.Live(b.link, 0, b.now)
				b.b.Listed(l, b.now)
			} else {
				before = b.b.Doubts()
				if s.away {
					b.b.Away(b.now)
				}
				b.b.Found(&Record{Generation: s.file, AsOf: b.now}, s.inTheWay, b.now)
			}
		}
		if got := b.b.course.now; got != rule.want || b.b.Doubting() != rule.open {
			t.Errorf("%s: %+v, in doubt %v; want %+v, %v", name, got, b.b.Doubting(), rule.want, rule.open)
		}
	}
}

// Two processes share a file. One reads metadata that the other does not: it may not, or does not watch it. Each writes the time of its last
// confirmation again now and then. In a day that made fifteen eras, and an unregistered instance came back as held. After a restore, one that may not read
// everything cannot know which of the zxids that it has seen are still so: it took them into the era of the other, which took that for one more restore, each
// time that they wrote (tests/weather, seed 29).
func TestTwoProcessesThatReadNotTheSameMakeNoEra(t *testing.T) {
	for name, how := range map[string]read{"one without the permission": synced, "one without watches for metadata": whole} {
		zxid := int64(10)        // of the registry, raised by each change of metadata
		seen := [2]int64{10, 10} // by each
		doubts := 0
		var file *Record
		ps := [2]*bench{newBench(t, Config{}), newBench(t, Config{})}
		lists := func(i int, how read) {
			if i == 0 && how == synced {
				how = whole
			}
			b := ps[i]
			if how == whole || i == 0 {
				seen[i] = zxid
			} else if zxid%60 == 0 { // a change that it may read
				seen[i] = max(seen[i], zxid)
			}
			b.b.Live(1, 0, b.now)
			b.b.Listed(Listing{
				Lineage: "a", Zxid: seen[i], Synced: how != plain, Proof: how == whole, Doubt: b.b.Doubts(), AsOf: b.now,
			}, b.now)
		}
		for minute := range 24 * 60 {
			zxid++
			restored := minute == 12*60
			if restored {
				zxid = 5
			}
			for i, b := range ps {
				b.now = b.now.Add(time.Minute)
				if restored && (i == 0 || how == whole) { // who reads everything notices
					lists(i, whole)
				}
				if lists(i, plain); b.b.Doubting() {
					doubts++
					lists(i, how)
				}
				b.b.SaveAgain()
				rec, _ := b.b.ToSave(b.now)
				if file != nil && (rec.Before(file.Generation) || rec.Generation == file.Generation && rec.AsOf.Before(file.AsOf)) {
					b.b.Found(file, true, b.now)
				} else {
					file = rec
				}
			}
		}
		if doubts == 0 {
			t.Errorf("%s: nothing was tested", name)
		}
		for _, b := range ps {
			if era := b.b.course.now.Era; era != 2 {
				t.Errorf("%s: era %d after a day with one restore", name, era)
			}
		}
	}
}
