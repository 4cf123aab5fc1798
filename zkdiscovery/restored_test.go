package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Met in a simulated day as a false "restored backup" with every restamp of the file: two processes shared it, and read the instances'
// metadata at different times.
func TestMetadataThatOneProcessHasReadLaterIsNoRestoredBackup(t *testing.T) {
	inBubble(t, func(w *world) {
		key := func(i int) string { return fmt.Sprintf("tcp@h%05d:1", i) }
		for i := range 20 {
			w.put("Arith", key(i), "calls=0")
		}
		gone := func(context.Context, string, string) error { return errors.New("gone") }
		opts := []Option{WithoutMetadataWatch(), WithGuard(Guard{Probe: gone})}
		one, two := w.discover("Arith", opts...), w.discover("Arith", opts...)
		first, zxid := 0, one.Snapshot().Zxid
		for minute := range 4 * 60 { // the file is stamped anew every quarter of an hour
			pass(time.Minute)
			for i := first; i < first+20; i++ {
				w.put("Arith", key(i), fmt.Sprintf("calls=%d", minute))
			}
			if minute%10 == 9 { // one is replaced by another
				w.remove("Arith", key(first))
				first++
				w.put("Arith", key(first+19), "calls=0")
				pass(time.Second)
			}
			s := one.Snapshot()
			if len(s.Held) > 0 || len(s.Servers) != 20 || s.Servers[0].Key != key(first) {
				t.Fatalf("minute %d: %d instances from %s, want 20 from %s; held %v", minute, len(s.Servers), s.Servers[0].Key, key(first), s.Held)
			}
			if s.Zxid < zxid {
				t.Fatalf("minute %d: zxid %d after %d", minute, s.Zxid, zxid)
			}
			zxid = s.Zxid
		}
		w.inEra(1, one, two)
	})
}

// P1 knows an instance's metadata since the start. P2 starts later, reads newer metadata and saves it. P1 wants to stamp the file, which is
// ahead of it.
func TestASecondProcessThatStartsLaterHasNotRestoredABackup(t *testing.T) {
	inBubble(t, func(w *world) {
		for i := range 100 {
			w.put("Arith", fmt.Sprintf("tcp@h%03d:1", i), "weight=1")
		}
		opts := []Option{WithoutMetadataWatch(), WithMaxCacheAge(8 * time.Second)} // so that the file is stamped every 2 s
		one := w.discover("Arith", opts...)
		pass(time.Minute)
		w.remove("Arith", "tcp@h000:1")
		pass(100 * time.Millisecond)
		w.put("Arith", "tcp@h001:1", "weight=2")
		two := w.discover("Arith", opts...)
		for range 60 {
			pass(time.Second)
			if s := one.Snapshot(); len(s.Held) > 0 || len(s.Servers) != 99 {
				t.Fatalf("%d instances, held %v; want 99, and nobody", len(s.Servers), s.Held)
			}
		}
		w.inEra(1, one, two)
		if got := one.GetServices()[0].Value; got != "weight=2" {
			t.Errorf("metadata %q, want what was read because the file was ahead", got)
		}
	})
}

func TestAnInstanceThatOnlyASiblingMayReadIsNoRestoredBackup(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@h1:1", "weight=1")
		w.put("Arith", "tcp@h0:1", "weight=1")
		owner := w.raw("u:p")
		_, err := owner.Create("/rpcx/Arith/tcp@secret:1", []byte("weight=1"), zk.FlagEphemeral, zk.DigestACL(zk.PermAll, "u", "p"))
		w.do(err)
		age := WithMaxCacheAge(8 * time.Second)
		one, two := w.discover("Arith", age), w.discover("Arith", age, WithAuth("digest", []byte("u:p")))
		pass(time.Minute)
		w.remove("Arith", "tcp@h0:1") // unregistered
		_, err = owner.Set("/rpcx/Arith/tcp@secret:1", []byte("weight=2"), -1)
		w.do(err)
		var before int64
		for i := range 120 {
			pass(time.Second)
			w.lists(one, "tcp@h1:1,tcp@secret:1")
			w.lists(two, "tcp@h1:1,tcp@secret:1")
			if held := one.Snapshot().Held; len(held) > 0 {
				t.Fatalf("held: %v", held)
			}
			if i == 30 {
				before = one.Status().Reads
			}
		}
		w.inEra(1, one, two)
		if reads := one.Status().Reads - before; reads > 60 { // the checks' own
			t.Errorf("%d reads in 90 s: the file is doubted again and again", reads)
		}
		if lines := w.log.with(slog.LevelInfo, "held"); len(lines) > 0 {
			t.Errorf("logged: %v", lines)
		}
	})
}

// restore brings a backup back in which the clients' sessions are, and whose zxids have gone on meanwhile: no client is turned away.
func (w *world) restore() {
	w.Helper()
	was := w.zk.Zxid()
	w.zk.Stop()
	w.zk.Rollback()
	w.restart(was)
}

// restart starts a restored ensemble whose newest zxid is above that which the clients have seen.
func (w *world) restart(seen int64) {
	w.Helper()
	for w.zk.Zxid() <= seen {
		w.do(w.zk.Put("/other", fmt.Append(nil, w.zk.Zxid())))
	}
	sessions := w.zk.Sessions()
	w.do(w.zk.Start())
	pass(6 * time.Second) // a backoff, and less than until the first look at rest
	if now := w.zk.Sessions(); !slices.Equal(now, sessions) {
		w.Fatalf("sessions %v after %v: they were to live on", now, sessions)
	}
}

// Met in a random history: a list had metadata from before the restore, for as long as the instance and the session stayed.
func TestARestoredBackupInWhichTheSessionLivesIsAnotherHistory(t *testing.T) {
	for name, opts := range map[string][]Option{"metadata watched": nil, "metadata not watched": {WithoutMetadataWatch()}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				services := []string{"Same", "Changed", "Come", "Gone"}
				for _, service := range services {
					for _, key := range []string{"tcp@h1:1", "tcp@h2:1", "tcp@h3:1"} {
						w.put(service, key, "weight=1")
					}
				}
				template := w.template(opts...)
				clones := make(map[string]*Discovery)
				for _, service := range services {
					clones[service] = w.clone(template, service)
					clones[service].WatchService()
				}
				pass(time.Second)
				w.zk.Checkpoint()
				w.put("Come", "tcp@h0:1", "weight=1")
				w.remove("Gone", "tcp@h3:1")
				w.remove("Changed", "tcp@h1:1") // a successor is read whether metadata are watched or not
				pass(time.Second)
				w.put("Changed", "tcp@h1:1", "weight=2")
				pass(time.Minute)
				if got := clones["Changed"].GetServices()[0].Value; got != "weight=2" {
					t.Fatalf("metadata %q", got)
				}
				w.inEra(1, slices.Collect(maps.Values(clones))...)

				w.restore()
				w.inEra(1, clones["Same"])
				w.inEra(2, clones["Changed"], clones["Come"], clones["Gone"])
				if got := clones["Changed"].GetServices()[0].Value; got != "weight=1" {
					t.Errorf("metadata %q, ZooKeeper has weight=1", got)
				}
				w.lists(clones["Same"], "tcp@h1:1,tcp@h2:1,tcp@h3:1")
				w.lists(clones["Gone"], "tcp@h1:1,tcp@h2:1,tcp@h3:1")
				// Nobody has unregistered it: it is missing, and answers.
				w.lists(clones["Come"], "tcp@h0:1,tcp@h1:1,tcp@h2:1,tcp@h3:1")
				if held := clones["Come"].Snapshot().Held; len(held) != 1 {
					t.Errorf("held: %v, want the one that the backup has not", held)
				}
				for service, d := range clones {
					w.source(d, Live)
					if n := d.Status().Mended; n > 0 {
						t.Errorf("%s: a look at rest has found %d changes", service, n)
					}
				}
				for range 5 { // once known, it is no news
					w.zk.DropConnections()
					pass(6 * time.Second)
				}
				w.inEra(1, clones["Same"])
				w.inEra(2, clones["Changed"], clones["Come"], clones["Gone"])
			})
		})
	}
}

// The restored ensemble's zxids go on from the backup's, until they are those that the client has seen. So instances that were written anew are
// newer than the client knows them, and yet ZooKeeper tells of none.
func TestMetadataThatWereWrittenAnewAfterARestoreAreSeenAtTheReconnect(t *testing.T) {
	inBubble(t, func(w *world) {
		w.put("Arith", "tcp@h1:1", "weight=1")
		d := w.discover("Arith")
		pass(time.Second)
		w.zk.Checkpoint()
		w.put("Arith", "tcp@h2:1", "weight=2")
		w.put("Arith", "tcp@h3:1", "weight=2")
		for i := range 4 {
			w.do(w.zk.Put("/other", []byte{byte(i)}))
		}
		pass(time.Minute) // the answered pings tell the zxid
		seen := w.zk.Zxid()
		w.zk.Stop()
		w.zk.Rollback()
		w.do(w.zk.Put("/other", nil))
		w.put("Arith", "tcp@h2:1", "weight=3")
		w.put("Arith", "tcp@h3:1", "weight=3")
		if w.zk.Zxid() > seen {
			t.Fatalf("zxid %d: the client, which has seen %d, would be told", w.zk.Zxid(), seen)
		}
		w.restart(seen)
		w.lists(d, "tcp@h1:1,tcp@h2:1,tcp@h3:1")
		for _, p := range d.GetServices()[1:] {
			if p.Value != "weight=3" {
				t.Errorf("%s has metadata %q, ZooKeeper has weight=3", p.Key, p.Value)
			}
		}
	})
}

func TestAReconnectCostsEachServiceAListAndARead(t *testing.T) {
	inBubble(t, func(w *world) {
		const services = 20
		template := w.template()
		for i := range services {
			service := fmt.Sprint("Arith", i)
			for j := range 50 {
				w.put(service, fmt.Sprintf("tcp@h%02d:1", j), "weight=1")
			}
			w.clone(template, service).WatchService()
		}
		pass(time.Second)
		before := w.zk.Stats()
		w.zk.DropConnections()
		pass(6 * time.Second)
		requests := w.zk.Stats().Since(before).Requests
		reads := requests[zktest.OpGetData] + requests[zktest.OpMultiRead] // with persistent watches of all instances, in one batch
		if lists := requests[zktest.OpGetChildren2]; lists != services || reads != services {
			t.Errorf("%d lists and %d reads for %d services: %v", lists, reads, services, requests)
		}
		if n := requests[zktest.OpSync]; n > 0 {
			t.Errorf("%d syncs, and nothing was older", n)
		}
	})
}

// inEra checks the era of what is shown.
func (w *world) inEra(want int64, ds ...*Discovery) {
	w.Helper()
	for i, d := range ds {
		d.view.mu.Lock()
		got := d.view.shown.Era
		d.view.mu.Unlock()
		if got != want {
			w.Errorf("discovery %d: era %d, want %d", i, got, want)
		}
	}
}

// raw is a connection of its own, with these digest credentials.
func (w *world) raw(auth string) *zk.Conn {
	w.Helper()
	dial := func(network, addr string, _ time.Duration) (net.Conn, error) {
		return w.zk.Dial(context.Background(), network, addr)
	}
	c, _, err := zk.Connect([]string{"127.0.0.1:2181"}, 10*time.Second, zk.WithDialer(dial), zk.WithLogger(quiet{}))
	w.do(err)
	w.Cleanup(c.Close)
	w.do(c.AddAuth("digest", []byte(auth)))
	return c
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
