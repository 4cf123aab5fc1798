package serverplugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// follow watches the service as a client does until the returned function is called, which names the metadata that it must have seen last. A
// list without the address is a failure.
func (b bubble) follow() (stop func(last string)) {
	d, err := zkdiscovery.New("rpcx", "Arith", []string{"zk:2181"}, zkdiscovery.WithDialer(b.zk.Dial), zkdiscovery.WithoutCache(), zkdiscovery.WithoutGuard())
	if err != nil {
		b.Fatal(err)
	}
	ch := d.WatchService()
	seen := make(chan string)
	go func() {
		var last string
		for list := range ch {
			if len(list) != 1 || list[0].Key != address {
				b.Errorf("a client sees %v", list)
				continue
			}
			last = list[0].Value
		}
		seen <- last
	}()
	return func(want string) {
		b.Helper()
		synctest.Wait()
		d.RemoveWatcher(ch)
		close(ch)
		if last := <-seen; last != want {
			b.Errorf("a client has last seen %q, want %q", last, want)
		}
		d.Close()
	}
}

// Promise R2: Register claims the address, and to lose it is final until the winner is gone.
func TestAKilledPredecessorIsReplacedAtOnce(t *testing.T) {
	inBubble(t, func(b bubble) {
		way := &mortal{zk: b.zk}
		old := b.plugin(WithDialer(way.dial))
		b.register(old, "Arith", "weight=1")
		pass(time.Second)
		defer b.follow()("weight=2")
		way.kill()
		pass(time.Second)
		b.owner("weight=1") // its session lives on

		p := b.plugin()
		b.register(p, "Arith", "weight=2")
		pass(0)
		b.mustOwn(p, "weight=2")
		pass(time.Minute) // the old session has expired
		b.mustOwn(p, "weight=2")
	})
}

func TestALiveProcessYieldsToANewerOne(t *testing.T) {
	inBubble(t, func(b bubble) {
		old := b.plugin()
		b.register(old, "Arith", "weight=1")
		pass(time.Second)
		defer b.follow()("weight=2")

		p := b.plugin()
		b.register(p, "Arith", "weight=2")
		pass(time.Second)
		b.mustOwn(p, "weight=2")
		st := old.Status()
		if old.Registered() || st.Services[0].Phase != Yielded || st.Services[0].Owner != p.Status().SessionID {
			t.Errorf("the loser says %+v", st)
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		if err := old.WaitRegistered(ctx); !errors.Is(err, ErrYielded) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitRegistered: %v", err)
		}

		zxid := b.zk.Zxid()
		pass(5 * time.Hour)
		if n := b.zk.Zxid() - zxid; n != 0 {
			t.Errorf("%d writes in five hours: they take the address from each other", n)
		}
		b.mustOwn(p, "weight=2")

		// Whatever the loser does now does nothing to the winner.
		b.register(old, "Other", "")
		must(b, old.Unregister("Arith"))
		pass(time.Second)
		b.mustOwn(p, "weight=2")
		must(b, old.Stop())
		pass(time.Second)
		b.mustOwn(p, "weight=2")
	})
}

// What is known from before a Register says nothing of it: neither the process's own metadata nor whoever came since, which it may not know yet.
func TestWaitRegisteredWaitsForTheLastRegister(t *testing.T) {
	inBubble(t, func(b bubble) {
		plugins := []*ZooKeeperRegisterPlugin{b.plugin(), b.plugin()}
		b.zk.Delay(time.Millisecond) // nothing is done in no time
		for i := range 100 {
			p, data := plugins[i/2%2], fmt.Sprint("weight=", i) // each twice in a row
			b.register(p, "Arith", data)
			if p.Registered() {
				t.Error("registered before anything was done")
			}
			must(b, p.WaitRegistered(b.Context()))
			b.mustOwn(p, data)
		}
	})
}

func TestTheLoserComesBackWhenTheWinnerIsGone(t *testing.T) {
	inBubble(t, func(b bubble) {
		first, second := b.plugin(), b.plugin()
		b.register(first, "Arith", "weight=1")
		pass(time.Second)
		way := &mortal{zk: b.zk}
		third := b.plugin(WithDialer(way.dial))
		b.register(second, "Arith", "weight=2")
		pass(time.Second)
		b.register(third, "Arith", "weight=3")
		pass(time.Second)
		b.mustOwn(third, "weight=3")
		way.kill()
		pass(time.Minute)
		// One of the two, and the other one yields to it.
		if first.Registered() == second.Registered() {
			t.Errorf("%v\n%v", first.Status(), second.Status())
		}
		loser := first
		if first.Registered() {
			b.mustOwn(first, "weight=1")
			loser = second
		} else {
			b.mustOwn(second, "weight=2")
		}
		b.register(loser, "Arith", "weight=4") // who asks again gets it
		pass(time.Second)
		b.mustOwn(loser, "weight=4")
	})
}

func TestAWinnerThatExpiresLeavesTheAddressToWhomeverIsFaster(t *testing.T) {
	inBubble(t, func(b bubble) {
		first, second := b.plugin(), b.plugin()
		b.register(first, "Arith", "weight=1")
		pass(time.Second)
		b.register(second, "Arith", "weight=2")
		pass(time.Second)
		for range 20 {
			b.zk.ExpireAll()
			pass(10 * time.Second)
			if first.Registered() == second.Registered() {
				t.Fatalf("%v\n%v", first.Status(), second.Status())
			}
		}
	})
}

// A session may be over for the client alone: the next one finds the node of the one before, which ZooKeeper would delete later.
func TestAnEarlierSessionsNodeIsTakenOver(t *testing.T) {
	inBubble(t, func(b bubble) {
		way := &mortal{zk: b.zk}
		p := b.plugin(WithDialer(way.dial))
		b.register(p, "Arith", "weight=1")
		pass(time.Second)
		defer b.follow()("weight=1")
		was := b.owner("weight=1")
		b.zk.FailNext(zktest.OpConnect, zktest.CodeSessionExpired, 1)
		way.cut()
		pass(time.Second)
		if ids := b.zk.Sessions(); p.Status().SessionID == was || !slices.Contains(ids, was) {
			t.Fatalf("the plugin is in session %#x, ZooKeeper has %x", p.Status().SessionID, ids)
		}
		b.mustOwn(p, "weight=1")
		pass(time.Minute)
		b.mustOwn(p, "weight=1")
	})
}

// An ensemble was restored from a backup that knew the predecessor: the server waited for that one's session to expire, and was not Ready until then.
func TestAPredecessorsNodeFromABackupIsTakenOver(t *testing.T) {
	inBubble(t, func(b bubble) {
		way := &mortal{zk: b.zk}
		b.register(b.plugin(WithDialer(way.dial)), "Arith", "weight=1")
		pass(time.Second)
		b.zk.Checkpoint()
		way.kill()
		p := b.plugin(WithSessionTimeout(time.Minute))
		b.register(p, "Arith", "weight=2")
		pass(time.Second)
		b.mustOwn(p, "weight=2")
		b.zk.Refuse(true)
		zxid := b.zk.Zxid()
		b.zk.Rollback()
		for b.zk.Zxid() <= zxid { // a new epoch, above what the process has seen
			must(b, b.zk.Put("/others", nil))
		}
		b.owner("weight=1")
		b.zk.Refuse(false)
		for range 5 {
			pass(time.Second) // within the predecessor's session
			if !p.Ready() {
				b.Error(p.Status())
			}
		}
		b.mustOwn(p, "weight=2")
		pass(time.Minute)
		b.mustOwn(p, "weight=2")
	})
}

// Zxids begin again in a new ensemble: a lower one does not make a predecessor of who came later.
func TestASuccessorInANewEnsembleIsNoPredecessor(t *testing.T) {
	inBubble(t, func(b bubble) {
		way := &mortal{zk: b.zk}
		old, p := b.plugin(WithDialer(way.dial)), b.plugin()
		for range 100 {
			must(b, b.zk.Put("/others", nil))
		}
		b.register(old, "Arith", "weight=1")
		pass(time.Second)
		b.mustOwn(old, "weight=1")
		was, _ := b.zk.Get(nodePath)
		way.kill()
		b.zk.Wipe()
		pass(recovery)
		b.register(p, "Arith", "weight=2")
		pass(time.Second)
		if n, err := b.zk.Get(nodePath); err != nil || n.Stat.Czxid >= was.Stat.Czxid {
			b.Fatalf("%+v, %v: nothing is tested", n, err)
		}
		way.revive()
		pass(time.Minute)
		b.mustOwn(p, "weight=2")
		if st := old.Status(); !st.Connected || st.Services[0].Phase != Yielded {
			b.Error(st)
		}
	})
}

// The old process does not know whether its claim was executed, and must not make it once more over one that came after it.
func TestAClaimWhoseAnswerIsLostIsNotMadeAgain(t *testing.T) {
	inBubble(t, func(b bubble) {
		predecessor, way := &mortal{zk: b.zk}, &mortal{zk: b.zk}
		b.register(b.plugin(WithDialer(predecessor.dial)), "Arith", "weight=1")
		old, p := b.plugin(WithDialer(way.dial)), b.plugin()
		pass(time.Second)
		predecessor.kill()
		defer b.follow()("weight=3")
		b.zk.CutAfter(zktest.OpMulti, 1)
		b.register(old, "Arith", "weight=2")
		pass(0)
		way.kill()
		b.owner("weight=2")
		b.register(p, "Arith", "weight=3")
		pass(0)
		b.mustOwn(p, "weight=3")
		way.revive()
		pass(time.Minute)
		b.mustOwn(p, "weight=3")
		if st := old.Status(); st.Services[0].Phase != Yielded || st.Takeovers > 0 || !st.Connected {
			t.Errorf("%+v", st)
		}
		if st := p.Status(); st.Takeovers != 1 {
			t.Errorf("%d takeovers: they have fought", st.Takeovers)
		}
	})
}

// lateBehindAnOlder has a process's create lost on the way, and an older process, whose session had expired, back before it.
func (b bubble) lateBehindAnOlder(timeout time.Duration) (older, p *ZooKeeperRegisterPlugin) {
	b.Helper()
	its, way := &mortal{zk: b.zk}, &mortal{zk: b.zk}
	older = b.plugin(WithDialer(its.dial))
	b.register(older, "Arith", "weight=1")
	pass(time.Second)
	its.kill()
	pass(recovery)
	p = b.plugin(WithDialer(way.dial), WithSessionTimeout(timeout))
	pass(time.Second)
	b.zk.CutBefore(zktest.OpCreate, 1)
	b.zk.CutBefore(zktest.OpMulti, 1)
	b.register(p, "Arith", "weight=2")
	pass(0)
	way.kill()
	b.zk.CutBefore(zktest.OpCreate, 0)
	b.zk.CutBefore(zktest.OpMulti, 0)
	b.mustBeGone()
	its.revive()
	pass(recovery)
	b.mustOwn(older, "weight=1")
	way.revive()
	pass(recovery)
	return older, p
}

func TestAClaimThatWasNotExecutedIsMadeAgain(t *testing.T) {
	inBubble(t, func(b bubble) {
		older, p := b.lateBehindAnOlder(time.Minute)
		b.mustOwn(p, "weight=2")
		if st := p.Status(); st.Sessions != 1 || st.Takeovers != 1 || older.Status().Services[0].Phase != Yielded {
			b.Errorf("%+v; %v", st, older.Status())
		}
		pass(time.Minute)
		b.mustOwn(p, "weight=2")
	})
}

// What is known of a lost create ends with its session: the node may have been there, and gone with that.
func TestAClaimThatWasLostWithItsSessionYields(t *testing.T) {
	inBubble(t, func(b bubble) {
		older, p := b.lateBehindAnOlder(recovery / 2)
		b.mustOwn(older, "weight=1")
		if st := p.Status(); st.Sessions != 2 || st.Services[0].Phase != Yielded {
			b.Errorf("%+v", st)
		}
	})
}

// Register meets the moment in which ZooKeeper is connected, sooner or later.
func TestRegisterWhileConnecting(t *testing.T) {
	inBubble(t, func(b bubble) {
		for i := range 300 {
			p := b.plugin()
			for range i {
				runtime.Gosched()
			}
			b.register(p, "Arith", fmt.Sprint(i))
			pass(time.Second)
			b.mustOwn(p, fmt.Sprint(i))
			must(b, p.Stop())
		}
	})
}

func TestAPersistentNodeIsReclaimed(t *testing.T) {
	inBubble(t, func(b bubble) {
		must(b, b.zk.Put(nodePath, []byte("left behind"))) // as rpcx-zookeeper does without an UpdateInterval
		p := b.plugin()
		b.register(p, "Arith", "weight=1")
		pass(time.Second)
		b.mustOwn(p, "weight=1")
	})
}

func TestClaimsAtTheSameMomentEndInOneOwner(t *testing.T) {
	for range 20 {
		inBubble(t, func(b bubble) {
			var log strings.Builder
			logger := slog.New(slog.NewTextHandler(&log, nil))
			var plugins []*ZooKeeperRegisterPlugin
			for range 5 {
				plugins = append(plugins, b.plugin(WithLogger(logger)))
			}
			pass(time.Second)
			for _, p := range plugins {
				b.register(p, "Arith", "")
			}
			pass(time.Minute)
			owners := 0
			for _, p := range plugins {
				if p.Registered() {
					b.mustOwn(p, "")
					owners++
				}
			}
			if owners != 1 {
				t.Errorf("%d owners", owners)
			}
			if strings.Contains(log.String(), "refuses") { // what others have done is no refusal
				t.Error(log.String())
			}
		})
	}
}
