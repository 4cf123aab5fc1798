package filecache

import (
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/belief"
)

// While changes come all the time, a list of the whole fleet was made of each, and most were replaced before they were written.
func TestAListThatWouldWaitIsMadeWhenItsTimeHasCome(t *testing.T) {
	keeping(t, nil, func(t *testing.T, k *kept) {
		b := belief.New(belief.Config{Reached: true})
		b.Live(1, 0, time.Now())
		list := func(zxid int64) {
			pairs := []*client.KVPair{{Key: "tcp@a:1"}}
			b.Listed(belief.Listing{Pairs: pairs, Lineage: "a", Zxid: zxid, Edits: zxid, AsOf: time.Now()}, time.Now())
		}
		wrote := func(zxid int64) {
			t.Helper()
			pass(0)
			if s := mustLoad(t, k.theirs); s.Zxid != zxid {
				t.Errorf("the file has transaction %d, want %d", s.Zxid, zxid)
			}
		}
		list(1)
		if wake := k.SaveFrom(b, time.Now()); !wake.IsZero() {
			t.Fatalf("the first must wait until %v", wake)
		}
		wrote(1)
		due := time.Now().Add(saveGap)
		for zxid := int64(2); zxid < 10; zxid++ {
			pass(100 * time.Millisecond)
			list(zxid)
			if wake := k.SaveFrom(b, time.Now()); !wake.Equal(due) || k.take() != nil {
				t.Fatalf("a list is made before it can be written, or at %v, want %v", wake, due)
			}
		}
		pass(time.Until(due))
		k.SaveFrom(b, time.Now())
		wrote(9)
		list(10)
		k.SaveLast(b, time.Now())
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		wrote(10)
	})
}
