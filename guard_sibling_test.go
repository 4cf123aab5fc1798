package holdfast_test

import (
	"context"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// O7 and L7 between processes that share a file, and after a reconnect that brings no list at first.

// unreachable is a network without a ZooKeeper in it.
func unreachable(context.Context, string, string) (net.Conn, error) { return nil, errRefused }

// A client that was still away took the file of a sibling which had gone live, asked a dead server, and let it go. When the client went live
// itself, its guard, which knew that server from before the outage and nothing of what the sibling had found out, put it back for as long as
// its own probes took.
func TestO7WhomASiblingHasLetGoDoesNotComeBack(t *testing.T) {
	for name, before := range map[string]func(*world){
		"listed before":          func(*world) {},
		"held before":            func(t *world) { t.lose("Arith", between(0, 3)...); pass(time.Minute); t.register("Arith", 1, 2) },
		"let go a moment before": func(t *world) { t.lose("Arith", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *world, zk *zktest.Server) {
				f := newFleet()
				t.register("Arith", between(0, 3)...)
				t.guarded("Arith", f, zkdiscovery.Guard{Window: time.Hour})
				far := &dialer{to: zk.Dial}
				late := t.guarded("Arith", newFleet(), zkdiscovery.Guard{Window: time.Hour}, zkdiscovery.WithDialer(far.dial)) // whom all answer, if it asks
				pass(time.Minute)
				before(t)
				pass(time.Second)

				t.stop()
				far.redirect(unreachable)
				f.become(refuses, 0)
				for key := range t.children(t.service("Arith")) {
					t.remove(t.service("Arith") + "/" + key)
				}
				pass(30 * time.Second)
				t.start() // for the sibling, which finds out who is dead
				pass(20 * time.Second)
				alive := t.register("Arith", 1, 2)
				pass(10 * time.Second)
				t.source(late, zkdiscovery.File)
				t.lists(late, alive)
				watcher := follow(t.T, late)
				far.redirect(zk.Dial)
				pass(30 * time.Second)
				t.source(late, zkdiscovery.Live)
				for _, list := range watcher.heard() {
					if !maps.Equal(list, alive) {
						t.Errorf("listed: %v", list)
					}
				}
				if saved := t.saved("Arith"); !maps.Equal(saved, alive) {
					t.Errorf("the file has %v", saved)
				}
			})
		})
	}
}

func TestO7WhomASiblingHasLetGoIsListedWhenZooKeeperListsIt(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 3)...)
		t.guarded("Arith", f, zkdiscovery.Guard{})
		far := &dialer{to: zk.Dial}
		late := t.guarded("Arith", f, zkdiscovery.Guard{}, zkdiscovery.WithDialer(far.dial))
		pass(time.Minute)
		far.redirect(unreachable)
		far.drop()
		t.lose("Arith", 0)
		pass(15 * time.Second)
		delete(all, instance(0))
		t.source(late, zkdiscovery.File)
		t.lists(late, all)
		maps.Copy(all, t.register("Arith", 0)) // as it was, to the letter
		far.redirect(zk.Dial)
		pass(30 * time.Second)
		t.source(late, zkdiscovery.Live)
		t.lists(late, all)
		t.held(late, 0)
	})
}

// What a sibling holds is held by whoever goes live after it, for as long as the sibling would: the file says since when.
func TestO7WhomASiblingHoldsIsHeldOn(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		f.become(cannotBeAsked, between(0, 3)...)
		all := t.register("Arith", between(0, 3)...)
		early := t.guarded("Arith", f, zkdiscovery.Guard{})
		far := &dialer{to: zk.Dial}
		late := t.guarded("Arith", f, zkdiscovery.Guard{}, zkdiscovery.WithDialer(far.dial))
		pass(time.Minute)
		far.redirect(unreachable)
		far.drop()
		pass(time.Second)
		t.lose("Arith", between(0, 3)...)
		pass(40 * time.Second)
		t.held(early, 3)
		t.source(late, zkdiscovery.File)
		far.redirect(zk.Dial)
		pass(10 * time.Second)
		t.source(late, zkdiscovery.Live)
		t.lists(late, all)
		t.held(late, 3)
		pass(15 * time.Second) // a minute, and a little, since the sibling lost them
		t.held(early, 0)
		t.held(late, 0)
		t.lists(late, map[string]string{})
	})
}

// In the middle of an incident, with everybody held, a client lost its own network for a while. Its probes failed, of course; the list was empty
// when the network was back, and stayed so until the servers had registered again.
func TestO7AndO1WhoeverIsCutOffLetsNobodyGo(t *testing.T) {
	inBubble(t, func(t *world, zk *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 20)...)
		d := t.guarded("Arith", f, zkdiscovery.Guard{})
		watcher := follow(t.T, d)
		wipeOut(t, zk)
		pass(20 * time.Second)
		t.held(d, 20)
		t.stop()
		f.become(refuses, between(0, 20)...)
		pass(time.Hour)
		t.source(d, zkdiscovery.Stale)
		t.lists(d, all)
		f.become(nil, between(0, 19)...) // the last has died in that hour
		t.start()
		pass(time.Minute)
		t.source(d, zkdiscovery.Live)
		t.neverLess(watcher, 19)
		delete(all, instance(19))
		t.lists(d, all)
		t.held(d, 19)
	})
}

// ZooKeeper was there again, and for a minute it refused the list to credentials that somebody had broken. By then the window after the
// reconnect was over, and what had expired meanwhile was let go as if it were one of few.
func TestO7TheWindowAfterAReconnectBeginsWithTheFirstList(t *testing.T) {
	inBubble(t, func(t *world, server *zktest.Server) {
		f := newFleet()
		all := t.register("Arith", between(0, 20)...)
		far := &dialer{to: server.Dial}
		d := t.guarded("Arith", f, zkdiscovery.Guard{}, zkdiscovery.WithDialer(far.dial))
		pass(time.Minute)
		far.redirect(unreachable)
		far.drop()
		allow := func(acl []zk.ACL) {
			t.zooKeeper.(*inProcess).as(func(c *zk.Conn) {
				must(t.T, c.AddAuth("digest", []byte("somebody:else")))
				_, err := c.SetACL(t.service("Arith"), acl, -1)
				must(t.T, err)
			})
		}
		allow(zk.DigestACL(zk.PermAll, "somebody", "else"))
		must(t.T, server.Delete(t.service("Arith")+"/"+instance(7)))
		far.redirect(server.Dial)
		pass(time.Minute)
		t.source(d, zkdiscovery.Stale)
		allow(zk.WorldACL(zk.PermAll))
		pass(20 * time.Second)
		t.source(d, zkdiscovery.Live)
		t.lists(d, all)
		t.held(d, 1)
	})
}
