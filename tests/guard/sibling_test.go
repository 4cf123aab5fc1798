package guard

import (
	"maps"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// O7 and L7 between processes that share a file, and after a reconnect that brings no list at first.

// A client that was still away took the file of a sibling which had gone live, asked a dead server, and let it go. When the client went live
// itself, its guard, which knew that server from before the outage and nothing of what the sibling had found out, put it back for as long as
// its own probes took.
func TestO7WhomASiblingHasLetGoDoesNotComeBack(t *testing.T) {
	for name, before := range map[string]func(*harness.World){
		"listed before": func(*harness.World) {},
		"held before": func(t *harness.World) {
			t.Lose("Arith", harness.Between(0, 3)...)
			harness.Pass(time.Minute)
			t.Register("Arith", 1, 2)
		},
		"let go a moment before": func(t *harness.World) { t.Lose("Arith", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				f := harness.NewFleet()
				t.Register("Arith", harness.Between(0, 3)...)
				t.Guarded("Arith", f, zkdiscovery.Guard{Window: time.Hour})
				far := harness.NewDialer(zk.Dial)
				late := t.Guarded("Arith", harness.NewFleet(), zkdiscovery.Guard{Window: time.Hour}, zkdiscovery.WithDialer(far.Dial)) // whom all answer, if it asks
				harness.Pass(time.Minute)
				before(t)
				harness.Pass(time.Second)

				t.Stop()
				far.Redirect(harness.Refuse)
				f.Become(harness.Refuses, 0)
				for key := range t.Children(t.Service("Arith")) {
					t.Remove(t.Service("Arith") + "/" + key)
				}
				harness.Pass(30 * time.Second)
				t.Start() // for the sibling, which finds out who is dead
				harness.Pass(20 * time.Second)
				alive := t.Register("Arith", 1, 2)
				harness.Pass(10 * time.Second)
				t.Source(late, zkdiscovery.File)
				t.Lists(late, alive)
				watcher := t.Follow(late)
				far.Redirect(zk.Dial)
				harness.Pass(30 * time.Second)
				t.Source(late, zkdiscovery.Live)
				for _, list := range watcher.Heard() {
					if !maps.Equal(list, alive) {
						t.Errorf("listed: %v", list)
					}
				}
				if saved := t.Saved("Arith"); !maps.Equal(saved, alive) {
					t.Errorf("the file has %v", saved)
				}
			})
		})
	}
}

func TestO7WhomASiblingHasLetGoIsListedWhenZooKeeperListsIt(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		f := harness.NewFleet()
		all := t.Register("Arith", harness.Between(0, 3)...)
		t.Guarded("Arith", f, zkdiscovery.Guard{})
		far := harness.NewDialer(zk.Dial)
		late := t.Guarded("Arith", f, zkdiscovery.Guard{}, zkdiscovery.WithDialer(far.Dial))
		harness.Pass(time.Minute)
		far.Redirect(harness.Refuse)
		far.Drop()
		t.Lose("Arith", 0)
		harness.Pass(15 * time.Second)
		delete(all, harness.Instance(0))
		t.Source(late, zkdiscovery.File)
		t.Lists(late, all)
		maps.Copy(all, t.Register("Arith", 0)) // as it was, to the letter
		far.Redirect(zk.Dial)
		harness.Pass(30 * time.Second)
		t.Source(late, zkdiscovery.Live)
		t.Lists(late, all)
		t.Held(late, 0)
	})
}

// What a sibling holds is held by whoever goes live after it, for as long as the sibling would: the file says since when.
func TestO7WhomASiblingHoldsIsHeldOn(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		f := harness.NewFleet()
		f.Become(harness.CannotBeAsked, harness.Between(0, 3)...)
		all := t.Register("Arith", harness.Between(0, 3)...)
		early := t.Guarded("Arith", f, zkdiscovery.Guard{})
		far := harness.NewDialer(zk.Dial)
		late := t.Guarded("Arith", f, zkdiscovery.Guard{}, zkdiscovery.WithDialer(far.Dial))
		harness.Pass(time.Minute)
		far.Redirect(harness.Refuse)
		far.Drop()
		harness.Pass(time.Second)
		t.Lose("Arith", harness.Between(0, 3)...)
		harness.Pass(40 * time.Second)
		t.Held(early, 3)
		t.Source(late, zkdiscovery.File)
		far.Redirect(zk.Dial)
		harness.Pass(10 * time.Second)
		t.Source(late, zkdiscovery.Live)
		t.Lists(late, all)
		t.Held(late, 3)
		harness.Pass(15 * time.Second) // a minute, and a little, since the sibling lost them
		t.Held(early, 0)
		t.Held(late, 0)
		t.Lists(late, map[string]string{})
	})
}

// In the middle of an incident, with everybody held, a client lost its own network for a while. Its probes failed, of course; the list was empty
// when the network was back, and stayed so until the servers had registered again.
func TestO7AndO1WhoeverIsCutOffLetsNobodyGo(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		f := harness.NewFleet()
		all := t.Register("Arith", harness.Between(0, 20)...)
		d := t.Guarded("Arith", f, zkdiscovery.Guard{})
		watcher := t.Follow(d)
		t.WipeOut()
		harness.Pass(20 * time.Second)
		t.Held(d, 20)
		t.Stop()
		f.Become(harness.Refuses, harness.Between(0, 20)...)
		harness.Pass(time.Hour)
		t.Source(d, zkdiscovery.Stale)
		t.Lists(d, all)
		f.Become(nil, harness.Between(0, 19)...) // the last has died in that hour
		t.Start()
		harness.Pass(time.Minute)
		t.Source(d, zkdiscovery.Live)
		watcher.NeverFewer(19)
		delete(all, harness.Instance(19))
		t.Lists(d, all)
		t.Held(d, 19)
	})
}

// ZooKeeper was there again, and for a minute it refused the list to credentials that somebody had broken. By then the window after the
// reconnect was over, and what had expired meanwhile was let go as if it were one of few.
func TestO7TheWindowAfterAReconnectBeginsWithTheFirstList(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, server *zktest.Server) {
		f := harness.NewFleet()
		all := t.Register("Arith", harness.Between(0, 20)...)
		far := harness.NewDialer(server.Dial)
		d := t.Guarded("Arith", f, zkdiscovery.Guard{}, zkdiscovery.WithDialer(far.Dial))
		harness.Pass(time.Minute)
		far.Redirect(harness.Refuse)
		far.Drop()
		allow := func(acl []zk.ACL) {
			t.As(func(c *zk.Conn) {
				harness.Must(t, c.AddAuth("digest", []byte("somebody:else")))
				_, err := c.SetACL(t.Service("Arith"), acl, -1)
				harness.Must(t, err)
			})
		}
		allow(zk.DigestACL(zk.PermAll, "somebody", "else"))
		harness.Must(t, server.Delete(t.Node("Arith", 7)))
		far.Redirect(server.Dial)
		harness.Pass(time.Minute)
		t.Source(d, zkdiscovery.Stale)
		allow(zk.WorldACL(zk.PermAll))
		harness.Pass(20 * time.Second)
		t.Source(d, zkdiscovery.Live)
		t.Lists(d, all)
		t.Held(d, 1)
	})
}
