package belief

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// fiveThousand are two lists of the registry's that differ in one instance's metadata, or in one instance that is gone.
func fiveThousand(gone bool) (lists [2][]*client.KVPair) {
	for i := range 5_000 {
		lists[0] = append(lists[0], &client.KVPair{Key: fmt.Sprintf("tcp@10.0.%03d.%03d:8972", i/250, i%250), Value: "weight=1"})
	}
	lists[1] = slices.Clone(lists[0])
	if gone {
		lists[1] = slices.Delete(lists[1], 2_500, 2_501)
	} else {
		lists[1][2_500] = &client.KVPair{Key: lists[0][2_500].Key, Value: "weight=2"}
	}
	return lists
}

func BenchmarkListedWithOneChangeAmong5000(b *testing.B) {
	for name, gone := range map[string]bool{"metadata": false, "membership": true} {
		b.Run(name, func(b *testing.B) {
			lists := fiveThousand(gone)
			now := time.Unix(1e9, 0)
			belief := New(Config{Reached: true})
			belief.Live(1, 0, now)
			n := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				n++
				now = now.Add(time.Minute)
				belief.Listed(Listing{Pairs: lists[n%2], Lineage: "a", Zxid: n, Edits: n, AsOf: now}, now)
				belief.Tick(now)
				if len(belief.Asks(now)) > 0 || len(belief.Shown().Pairs) < 4_999 {
					b.Fatal("somebody is held")
				}
			}
		})
	}
}

func BenchmarkToSave5000(b *testing.B) {
	lists := fiveThousand(false)
	now := time.Unix(1e9, 0)
	belief := New(Config{Reached: true})
	belief.Live(1, 0, now)
	belief.Listed(Listing{Pairs: lists[0], Lineage: "a", Zxid: 1, Edits: 1, AsOf: now}, now)
	b.Run("nothing new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			belief.ToSave(now)
		}
	})
	b.Run("again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			belief.SaveAgain()
			if rec, _ := belief.ToSave(now); len(rec.Listed) != 5_000 {
				b.Fatal(len(rec.Listed))
			}
		}
	})
	b.Run("all held", func(b *testing.B) {
		belief.Listed(Listing{Lineage: "a", Zxid: 2, Edits: 2, AsOf: now}, now)
		b.ReportAllocs()
		for b.Loop() {
			belief.SaveAgain()
			now = now.Add(time.Second)
			if rec, _ := belief.ToSave(now); len(rec.Held) != 5_000 {
				b.Fatal(len(rec.Held))
			}
		}
	})
}
