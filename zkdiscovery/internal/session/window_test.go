package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// slow is a connection over which so many bytes arrive per second.
type slow struct {
	net.Conn
	perSecond int
}

func (c slow) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), 1024)])
	time.Sleep(time.Duration(n) * time.Second / time.Duration(c.perSecond))
	return n, err
}

// overASlowLink opens a session of 4 s over a connection that brings 48 KB/s.
func overASlowLink(t *testing.T, cfg Config) *Session {
	t.Helper()
	cfg.SessionTimeout = 4 * time.Second
	cfg.Dial = wrapping(cfg.Dial, func(c net.Conn) net.Conn { return slow{c, 48 << 10} })
	s := Open(cfg)
	t.Cleanup(s.Close)
	awaitState(t, s, time.Second, func(st State) bool { return st.Connected })
	return s
}

// Issue 10, S1: 40 services of 130 instances were never live over 48 KB/s, where one of 5,200 took 12 s: each service had 128 reads under way, their
// answers took longer than a session timeout, and a service that had none yet broke the connection for all.
func TestManyServicesAreReadOverASlowLinkOnOneConnection(t *testing.T) {
	for _, tc := range []struct{ services, instances int }{{1, 5200}, {40, 130}, {400, 13}} {
		t.Run(fmt.Sprintf("%d of %d", tc.services, tc.instances), func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				for sv := range tc.services {
					for i := range tc.instances {
						must(t, zk.Put(fmt.Sprintf("/app/service-%03d/tcp@host-%05d:8972", sv, i), []byte("weight=1&state=active&tps=100")))
					}
				}
				s := overASlowLink(t, cfg)
				var wg sync.WaitGroup
				for sv := range tc.services {
					wg.Go(func() {
						path := fmt.Sprintf("/app/service-%03d", sv)
						ls, err := s.List(t.Context(), path)
						if err != nil || len(ls.Names) != tc.instances {
							t.Errorf("%d names, %v", len(ls.Names), err)
							return
						}
						nodes, err := s.Read(t.Context(), path, ls.Names, true)
						if err != nil || len(nodes) != tc.instances || len(nodes[0].Data) == 0 {
							t.Errorf("%d nodes, %v", len(nodes), err)
						}
					})
				}
				wg.Wait()
				if st := s.State(); st.Link != 1 {
					t.Errorf("%d connections", st.Link)
				}
			})
		})
	}
}

// A small request waits for the answers that are under way, which are bounded, and not for all that others want.
func TestListDoesNotWaitBehindThousandsOfReads(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 5000)
		must(t, zk.Create("/other", nil))
		s := overASlowLink(t, cfg)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := s.Read(t.Context(), "/app", names, false); err != nil {
					t.Error(err)
				}
			})
		}
		settle(20 * time.Second)
		begin := time.Now()
		if _, err := s.List(t.Context(), "/other"); err != nil {
			t.Error(err)
		}
		if took, most := time.Since(begin), time.Duration(maxExpected)*time.Second/(48<<10); took > most {
			t.Errorf("%v, want %v at most", took, most)
		}
		begin = time.Now()
		wg.Wait()
		if time.Since(begin) < time.Minute || s.State().Link != 1 {
			t.Errorf("the reads took %v, %+v", time.Since(begin), s.State())
		}
	})
}

// Reads that come later are not behind all of those that came before: each exchange gets its turn.
func TestLargeReadsShareTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 5000)
		s := overASlowLink(t, cfg)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = s.Read(t.Context(), "/app", names, false) })
		settle(4 * time.Second)
		begin := time.Now()
		if _, err := s.Read(t.Context(), "/app", names[:50], false); err != nil {
			t.Error(err)
		}
		first := time.Since(begin)
		wg.Wait()
		if rest := time.Since(begin); first > rest/2 {
			t.Errorf("50 nodes took %v, and the 5,000 before them %v more", first, rest-first)
		}
	})
}

// Issue 10, S13: bytes that arrive are a sign of life, however long the frame is that they belong to.
func TestListThatTricklesInKeepsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		for i := range 20_000 {
			must(t, zk.Create(fmt.Sprintf("/app/%s-%05d", strings.Repeat("x", 50), i), nil))
		}
		s := overASlowLink(t, cfg)
		begin := time.Now()
		ls, err := s.List(t.Context(), "/app")
		if took := time.Since(begin); err != nil || len(ls.Names) != 20_000 || took < 5*s.State().Timeout {
			t.Errorf("%d names after %v: %v", len(ls.Names), took, err)
		}
		if st := s.State(); st.Link != 1 {
			t.Errorf("%d connections", st.Link)
		}
	})
}

// A write waits behind the answers to reads, and breaks nothing.
func TestWriteBehindASlowListKeepsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		for i := range 20_000 {
			must(t, zk.Create(fmt.Sprintf("/app/%s-%05d", strings.Repeat("x", 50), i), nil))
		}
		s := overASlowLink(t, cfg)
		go func() { _, _ = s.List(context.Background(), "/app") }()
		settle(time.Second)
		if _, err := s.Write(t.Context(), 1, Set{Path: "/app", Version: -1}); err != nil {
			t.Error(err)
		}
		if st := s.State(); st.Link != 1 {
			t.Errorf("%d connections", st.Link)
		}
	})
}

// What was answered before a break need not be asked again.
func TestReadReturnsWhatWasAnsweredBeforeTheBreak(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 5000)
		s := overASlowLink(t, cfg)
		time.AfterFunc(4*time.Second, zk.DropConnections)
		nodes, err := s.Read(t.Context(), "/app", names, true)
		if !errors.Is(err, ErrLost) || len(nodes) < 1000 || len(nodes) > 4500 {
			t.Fatalf("%d nodes, %v", len(nodes), err)
		}
		for i, n := range nodes {
			if n.Name != names[i] || n.Err != nil || n.Stat.Czxid == 0 {
				t.Fatalf("node %d: %+v", i, n)
			}
		}
		settle(MaxBackoff)
		before := zk.Stats()
		rest, err := s.Read(t.Context(), "/app", names[len(nodes):], true)
		if err != nil || len(rest) != 5000-len(nodes) {
			t.Errorf("%d nodes, %v", len(rest), err)
		}
		if n := zk.Stats().Since(before).Requests[zktest.OpGetData]; n != int64(len(rest)) {
			t.Errorf("%d requests for the rest of %d", n, len(rest))
		}
		sameWatches(t, s, zk, 5000)
	})
}

// Issue 10, S11: a reply over the limit ended the connection, and with it what others were waiting for.
func TestReplyOverTheLimitIsRefusedToWhoAskedAndToNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.MaxReply = 10_000
		var attempts atomic.Int64
		cfg.Dial = counting(&attempts, zk.Dial)
		for i := range 10_000 {
			must(t, zk.Put(fmt.Sprintf("/large/child-%06d", i), nil))
		}
		names := fill(t, zk, 100)
		must(t, zk.Set("/app/"+names[50], make([]byte, 20_000)))
		s := connected(t, cfg)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := s.List(t.Context(), "/large"); !errors.Is(err, ErrReplyTooLarge) || errors.Is(err, ErrLost) {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if ls, err := s.List(t.Context(), "/app"); err != nil || len(ls.Names) != 100 {
					t.Errorf("%d names, %v", len(ls.Names), err)
				}
			})
			wg.Go(func() {
				nodes, err := s.Read(t.Context(), "/app", names, true)
				if !errors.Is(err, ErrReplyTooLarge) || errors.Is(err, ErrLost) || len(nodes) != 50 {
					t.Errorf("%d nodes, %v", len(nodes), err)
				}
			})
		}
		wg.Wait()
		if n := attempts.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
		settle(0)
		// Those of the answers that were not taken are there too. What was not sent by then never is.
		if ours, theirs := s.Outstanding(), zk.Stats().Watches; ours != theirs || ours < 1+1+51 {
			t.Errorf("%d watches in the session and %d on the server", ours, theirs)
		}
	})
}

// What is not for the library is go-zookeeper's, which would read it whole: that ends the connection.
func TestReplyOverTheLimitToAWriteEndsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.MaxReply = 100
		s := connected(t, cfg)
		settle(time.Minute)
		_, err := s.Write(t.Context(), 1, Create{Path: "/app/" + strings.Repeat("x", 100), ACL: everybody})
		if !errors.Is(err, ErrLost) || !errors.Is(err, ErrReplyTooLarge) {
			t.Error(err)
		}
		settle(MaxBackoff)
		if st := s.State(); st.Link != 2 || !st.Connected {
			t.Errorf("%+v", st)
		}
	})
}

// asking is an exchange of so many reads.
func asking(n int) *exchange {
	return &exchange{op: opGetData, n: n, path: func(i int) string { return fmt.Sprint("/", n, "/", i) }, done: make(chan struct{})}
}

func TestWindowServesSmallExchangesFirstAndLargeOnesInTurn(t *testing.T) {
	w, ws := newWindow(), newWatches()
	w.nodes = 10
	for _, n := range []int{1000, 500, 1, 20, 4} {
		w.add(asking(n))
	}
	gone := asking(700)
	gone.stop()
	w.add(gone)
	w.next(nil, ws, false)
	var got []string
	for i, a := range w.flying {
		if i == 0 || w.flying[i-1].x != a.x {
			got = append(got, a.path)
		}
	}
	want := "/1/0 /4/0 /1000/0 /500/0 /20/0 /1000/16 /500/16 /20/16 /1000/32 /500/32 /1000/48"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
	if len(w.flying) != batch {
		t.Errorf("%d requests in one write", len(w.flying))
	}
}

func TestWindowIsBoundedInRequestsAndInBytes(t *testing.T) {
	for _, tc := range []struct{ size, flying int }{{10, maxFlying}, {1 << 10, 128}, {100 << 10, 1}, {1 << 20, 1}} {
		w, ws := newWindow(), newWatches()
		w.nodes = tc.size
		w.add(asking(100_000))
		for len(w.next(nil, ws, false)) > 0 {
		}
		if len(w.flying) != tc.flying || w.expected != tc.flying*tc.size {
			t.Errorf("answers of %d bytes: %d under way, %d bytes", tc.size, len(w.flying), w.expected)
		}
		for len(w.flying) > 0 { // whatever comes, what is expected ends with what is under way
			if _, ok := w.answered(w.flying[0].xid, 77, 0, ws); !ok {
				t.Fatal("not the oldest")
			}
		}
		if w.expected != 0 {
			t.Errorf("%d bytes are expected of nothing", w.expected)
		}
	}
}

func TestWindowLearnsHowLongAnswersAre(t *testing.T) {
	w, ws := newWindow(), newWatches()
	for _, size := range []int{100, 50_000} {
		for range 100 {
			w.add(asking(1))
			w.next(nil, ws, false)
			w.answered(w.flying[0].xid, size, 0, ws)
		}
		if w.nodes < size-size/10-8 || w.nodes > size+size/10+8 {
			t.Errorf("%d bytes are expected, want about %d", w.nodes, size)
		}
	}
}
