package holdfast_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// What is listed of what ZooKeeper has: L8, and of L6 what may not be read.

func without(key string) client.ServiceDiscoveryFilter {
	return func(p *client.KVPair) bool { return p.Key != key }
}

func TestL8FilterTakesEffectAtOnceAndIsInherited(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		all := make(map[string]string)
		for i := range 3 {
			t.put(t.service("Arith")+"/"+instance(i), "n=1")
			all[instance(i)] = "n=1"
		}
		but := func(i int) map[string]string {
			m := map[string]string{}
			for k, v := range all {
				if k != instance(i) {
					m[k] = v
				}
			}
			return m
		}
		d := t.discover("Arith", zkdiscovery.WithFilter(without(instance(0))))
		t.lists(d, but(0))
		earlier := t.clone(d, "Arith")
		ch := d.WatchService()
		<-ch

		d.SetFilter(without(instance(1)))
		t.lists(d, but(1))
		if len(ch) != 1 || len(<-ch) != 2 {
			t.Error("SetFilter has returned, and the watcher does not have the list")
		}
		t.lists(earlier, but(0))
		later := t.clone(d, "Arith")
		t.lists(later, but(1))
		t.lists(t.clone(later, "Arith"), but(1))
		d.SetFilter(nil)
		t.lists(d, all)
		t.lists(later, but(1))

		d.SetFilter(without("nobody"))
		revision := d.Snapshot().Revision
		d.SetFilter(without(instance(2)))
		t.remove(t.service("Arith") + "/" + instance(2))
		pass(time.Second)
		if got := d.Snapshot().Revision; got != revision+1 {
			t.Errorf("%d lists were published, want one: the instance that went had been filtered out", got-revision)
		}
		if s := d.Snapshot(); len(s.Servers) != 2 || d.Status().Instances != 2 {
			t.Errorf("Snapshot and Status do not agree with the list: %v, %v", s, d.Status())
		}
	})
}

func TestL8FilterGetsCopiesAndMayCallEverythingButClose(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		want := make(map[string]string)
		for i := range 3 {
			t.put(t.service("Arith")+"/"+instance(i), "n=1")
			want[instance(i)] = "n=1"
		}
		d := t.discover("Arith")
		other := t.clone(d, "Other")
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
				d.SetFilter(without(instance(1)))
			}
			return true
		})
		delete(want, instance(1))
		t.lists(d, want)
		t.put(t.service("Arith")+"/"+instance(3), "n=1")
		want[instance(3)] = "n=1"
		pass(time.Second)
		t.lists(d, want)
	})
}

func TestL8FilterThatPanicsKeepsTheInstanceAndIsReportedOnce(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		const instances = 50
		for i := range instances {
			t.put(t.service("Arith")+"/"+instance(i), "n=1")
		}
		d := t.discover("Arith")
		reported := func() int { return count(t.log.edges(), "filter panicked") }
		d.SetFilter(func(p *client.KVPair) bool {
			if p.Key == instance(0) {
				return false
			}
			panic("filter")
		})
		if got := len(d.GetServices()); got != instances-1 {
			t.Errorf("%d instances are listed, want the %d for which the filter panics", got, instances-1)
		}
		for n := range 20 {
			t.set(t.service("Arith")+"/"+instance(1), fmt.Sprintf("n=%d", n))
			pass(time.Second)
		}
		if got := reported(); got != 1 {
			t.Errorf("reported %d times, want once", got)
		}
		d.SetFilter(func(*client.KVPair) bool { panic("another filter") })
		if got := reported(); got != 2 {
			t.Errorf("two filters were reported %d times", got)
		}
	})
}

func TestL6UnreadableInstanceIsListedAndReportedOnce(t *testing.T) {
	inBubble(t, func(t *world, server *zktest.Server) {
		readable, secret := t.service("Arith")+"/"+instance(0), t.service("Arith")+"/"+instance(1)
		t.put(readable, "n=0")
		owners := zk.DigestACL(zk.PermAll, "owner", "secret")
		asOwner := func(f func(*zk.Conn)) {
			t.zooKeeper.(*inProcess).as(func(c *zk.Conn) {
				must(t.T, c.AddAuth("digest", []byte("owner:secret")))
				f(c)
			})
		}
		asOwner(func(c *zk.Conn) {
			_, err := c.Create(secret, []byte("n=1"), 0, owners)
			must(t.T, err)
		})
		d := t.discover("Arith")
		t.lists(d, map[string]string{instance(0): "n=0", instance(1): ""})
		t.source(d, zkdiscovery.Live)
		asOwner(func(c *zk.Conn) {
			_, err := c.SetACL(readable, owners, -1)
			must(t.T, err)
			_, err = c.Set(readable, []byte("n=100"), -1)
			must(t.T, err)
		})
		pass(6 * time.Hour)
		t.lists(d, map[string]string{instance(0): "n=0", instance(1): ""}) // the metadata that is known last
		if lines := t.log.edges(); len(lines) > 4 {
			t.Errorf("logged in hours: %q", lines)
		}

		asOwner(func(c *zk.Conn) {
			for _, p := range []string{readable, secret} {
				_, err := c.SetACL(p, zk.WorldACL(zk.PermAll), -1)
				must(t.T, err)
			}
		})
		pass(20 * time.Minute) // of a change of permission no watch tells: the next look at rest does
		t.lists(d, map[string]string{instance(0): "n=100", instance(1): "n=1"})
		t.set(secret, "n=2")
		pass(time.Second)
		t.lists(d, map[string]string{instance(0): "n=100", instance(1): "n=2"})

		// The service itself.
		asOwner(func(c *zk.Conn) {
			_, err := c.SetACL(t.service("Arith"), owners, -1)
			must(t.T, err)
			_, err = c.Create(t.service("Arith")+"/"+instance(2), nil, 0, owners)
			must(t.T, err)
		})
		before := server.Stats()
		pass(6 * time.Hour)
		t.source(d, zkdiscovery.Stale)
		t.lists(d, map[string]string{instance(0): "n=100", instance(1): "n=2"})
		if lines := t.log.edges(); len(lines) > 10 {
			t.Errorf("logged in more hours: %q", lines)
		}
		if asked := server.Stats().Since(before).Total(); asked > int64(6*time.Hour/(4*time.Second)) {
			t.Errorf("asked %d times in 6 h for a list that it may not have", asked)
		}
		asOwner(func(c *zk.Conn) {
			_, err := c.SetACL(t.service("Arith"), zk.WorldACL(zk.PermAll), -1)
			must(t.T, err)
		})
		pass(time.Minute + 10*time.Second)
		t.source(d, zkdiscovery.Live)
		t.lists(d, map[string]string{instance(0): "n=100", instance(1): "n=2", instance(2): ""})
	})
}

func TestChildThatIsNoInstanceIsSkippedAndCounted(t *testing.T) {
	inBubble(t, func(t *world, _ *zktest.Server) {
		t.put(t.service("Arith")+"/"+instance(0), "n=0")
		for _, name := range []string{"config", "@127.0.0.1:1", "tcp@", "lock-0000000001", "with space@127.0.0.1:1"} {
			t.put(t.service("Arith")+"/"+name, "n=0")
		}
		t.put(t.service("Arith")+"/"+instance(1), "not;a=query%zz")
		d := t.discover("Arith")
		t.lists(d, map[string]string{instance(0): "n=0", instance(1): "not;a=query%zz"})
		if st := d.Status(); st.Skipped != 5 || st.Instances != 2 {
			t.Errorf("skipped %d and listed %d, want 5 and 2", st.Skipped, st.Instances)
		}
		pass(time.Second)
		lines := len(t.log.edges())
		t.put(t.service("Arith")+"/"+instance(2), "n=0")
		t.put(t.service("Arith")+"/another", "")
		pass(2 * time.Hour)
		if got := t.log.edges()[lines:]; len(got) > 0 {
			t.Errorf("reported again: %q", got)
		}
		all := t.log.edges()
		for _, what := range []string{"URL query", "network@address"} {
			if n := count(all, what); n != 1 {
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
