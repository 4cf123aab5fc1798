package lists

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// What is listed of what ZooKeeper has: L8, and of L6 what may not be read.

func TestL8AnInstanceThatIsFilteredOutComesAndGoesUnseen(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		t.Register("Arith", 0, 1, 2)
		d := t.Discover("Arith")
		revision := d.Snapshot().Revision
		d.SetFilter(harness.Without(harness.Instance(2)))
		t.Remove(t.Node("Arith", 2))
		harness.Pass(time.Second)
		if got := d.Snapshot().Revision; got != revision+1 {
			t.Errorf("%d lists were published, want one: the instance that went had been filtered out", got-revision)
		}
		if s := d.Snapshot(); len(s.Servers) != 2 || d.Status().Instances != 2 {
			t.Errorf("Snapshot and Status do not agree with the list: %v, %v", s, d.Status())
		}
	})
}

func TestL8FilterGetsCopiesAndMayCallEverythingButClose(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		want := make(map[string]string)
		for i := range 3 {
			t.Put(t.Node("Arith", i), "n=1")
			want[harness.Instance(i)] = "n=1"
		}
		d := t.Discover("Arith")
		other := t.Clone(d, "Other")
		again := true
		d.SetFilter(func(p *client.KVPair) bool {
			p.Key, p.Value = "spoiled", "spoiled"
			for _, x := range []*zkdiscovery.Discovery{d, other} {
				x.GetServices()
				_ = x.Snapshot()
				_ = x.Status()
				x.RemoveWatcher(x.WatchService())
				if _, err := x.Clone("Third"); err != nil {
					t.Error(err)
				}
			}
			if again { // or it would go on for ever
				again = false
				d.SetFilter(harness.Without(harness.Instance(1)))
			}
			return true
		})
		delete(want, harness.Instance(1))
		t.Lists(d, want)
		t.Put(t.Node("Arith", 3), "n=1")
		want[harness.Instance(3)] = "n=1"
		harness.Pass(time.Second)
		t.Lists(d, want)
	})
}

func TestL8FilterThatPanicsKeepsTheInstanceAndIsToldAFewTimes(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		const instances = 50
		for i := range instances {
			t.Put(t.Node("Arith", i), "n=1")
		}
		d := t.Discover("Arith")
		reported := func() int { return harness.Count(t.Logbook.Edges(), "filter panicked") }
		d.SetFilter(func(p *client.KVPair) bool {
			if p.Key == harness.Instance(0) {
				return false
			}
			panic("filter")
		})
		if got := len(d.GetServices()); got != instances-1 {
			t.Errorf("%d instances are listed, want the %d for which the filter panics", got, instances-1)
		}
		for n := range 20 {
			t.Set(t.Node("Arith", 1), fmt.Sprintf("n=%d", n))
			harness.Pass(time.Second)
		}
		if got := reported(); got == 0 || got > 10 {
			t.Errorf("reported %d times", got)
		}
	})
}

func TestL6UnreadableInstanceIsListedAndReportedOnce(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, server *zktest.Server) {
		readable, secret := t.Node("Arith", 0), t.Node("Arith", 1)
		t.Put(readable, "n=0")
		owners := zk.DigestACL(zk.PermAll, "owner", "secret")
		asOwner := func(f func(*zk.Conn)) {
			t.As(func(c *zk.Conn) {
				harness.Must(t, c.AddAuth("digest", []byte("owner:secret")))
				f(c)
			})
		}
		asOwner(func(c *zk.Conn) {
			_, err := c.Create(secret, []byte("n=1"), 0, owners)
			harness.Must(t, err)
		})
		d := t.Discover("Arith")
		t.Lists(d, map[string]string{harness.Instance(0): "n=0", harness.Instance(1): ""})
		t.Source(d, zkdiscovery.Live)
		asOwner(func(c *zk.Conn) {
			_, err := c.SetACL(readable, owners, -1)
			harness.Must(t, err)
			_, err = c.Set(readable, []byte("n=100"), -1)
			harness.Must(t, err)
		})
		harness.Pass(6 * time.Hour)
		t.Lists(d, map[string]string{harness.Instance(0): "n=0", harness.Instance(1): ""}) // the metadata that is known last
		if lines := t.Logbook.Edges(); len(lines) > 4 {
			t.Errorf("logged in hours: %q", lines)
		}

		asOwner(func(c *zk.Conn) {
			for _, p := range []string{readable, secret} {
				_, err := c.SetACL(p, zk.WorldACL(zk.PermAll), -1)
				harness.Must(t, err)
			}
		})
		harness.Pass(20 * time.Minute) // of a change of permission no watch tells: the next look at rest does
		t.Lists(d, map[string]string{harness.Instance(0): "n=100", harness.Instance(1): "n=1"})
		t.Set(secret, "n=2")
		harness.Pass(time.Second)
		t.Lists(d, map[string]string{harness.Instance(0): "n=100", harness.Instance(1): "n=2"})

		// The service itself.
		asOwner(func(c *zk.Conn) {
			_, err := c.SetACL(t.Service("Arith"), owners, -1)
			harness.Must(t, err)
			_, err = c.Create(t.Node("Arith", 2), nil, 0, owners)
			harness.Must(t, err)
		})
		before := server.Stats()
		harness.Pass(6 * time.Hour)
		t.Source(d, zkdiscovery.Stale)
		t.Lists(d, map[string]string{harness.Instance(0): "n=100", harness.Instance(1): "n=2"})
		if lines := t.Logbook.Edges(); len(lines) > 10 {
			t.Errorf("logged in more hours: %q", lines)
		}
		if asked := server.Stats().Since(before).Total(); asked > int64(6*time.Hour/(4*time.Second)) {
			t.Errorf("asked %d times in 6 h for a list that it may not have", asked)
		}
		asOwner(func(c *zk.Conn) {
			_, err := c.SetACL(t.Service("Arith"), zk.WorldACL(zk.PermAll), -1)
			harness.Must(t, err)
		})
		harness.Pass(time.Minute + 10*time.Second)
		t.Source(d, zkdiscovery.Live)
		t.Lists(d, map[string]string{harness.Instance(0): "n=100", harness.Instance(1): "n=2", harness.Instance(2): ""})
	})
}

func TestChildThatIsNoInstanceIsSkippedAndCounted(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, _ *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		for _, name := range []string{"config", "@127.0.0.1:1", "tcp@", "lock-0000000001", "with space@127.0.0.1:1"} {
			t.Put(t.Service("Arith")+"/"+name, "n=0")
		}
		t.Put(t.Node("Arith", 1), "not;a=query%zz")
		d := t.Discover("Arith")
		t.Lists(d, map[string]string{harness.Instance(0): "n=0", harness.Instance(1): "not;a=query%zz"})
		if st := d.Status(); st.Skipped != 5 || st.Instances != 2 {
			t.Errorf("skipped %d and listed %d, want 5 and 2", st.Skipped, st.Instances)
		}
		harness.Pass(time.Second)
		lines := len(t.Logbook.Edges())
		t.Put(t.Node("Arith", 2), "n=0")
		t.Put(t.Service("Arith")+"/another", "")
		harness.Pass(2 * time.Hour)
		if got := t.Logbook.Edges()[lines:]; len(got) > 0 {
			t.Errorf("reported again: %q", got)
		}
		all := t.Logbook.Edges()
		for _, what := range []string{"URL query", "network@address"} {
			if n := harness.Count(all, what); n != 1 {
				t.Errorf("%q is reported %d times, want once: %q", what, n, all)
			}
		}
		keys := make([]string, 0, 3)
		for _, s := range d.Snapshot().Servers {
			keys = append(keys, s.Key)
		}
		if !slices.IsSorted(keys) || len(keys) != 3 {
			t.Errorf("servers of the snapshot: %q", keys)
		}
	})
}
