package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
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
