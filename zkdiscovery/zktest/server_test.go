package zktest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestCloseEndsEverything(t *testing.T) {
	s := Start(t)
	var clients []*wire
	for range 10 {
		clients = append(clients, openWire(t, s.Addr()))
	}
	s.Silence(true)
	stuck, err := s.Dial(t.Context(), "", "") // its client neither reads nor writes
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	s.Silence(false)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(s.Close)
	}
	wg.Wait()
	for _, w := range clients {
		w.mustEnd(t)
	}
	if n := len(s.conns); n != 0 {
		t.Errorf("%d connections left", n)
	}
	mustRefuse(t, s.Addr())
	if _, err := s.Dial(t.Context(), "", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
	if err := s.Start(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("start: %v", err)
	}
	if err := s.Listen("127.0.0.1:0"); err == nil {
		t.Error("listening after Close")
	}
	s.Refuse(false)
	mustRefuse(t, s.Addr())
}

func TestDialKeepsToItsContext(t *testing.T) {
	s := NewServer()
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if nc, err := s.Dial(ctx, "", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v %v", nc, err)
	}
}

// flood sends many requests of a kind without looking at a reply, and returns how many the server takes at first.
func (w *wire) flood(t *testing.T, r *request, many int) (taken int) {
	t.Helper()
	var sent atomic.Int64
	go func() {
		for range many {
			w.xid++
			if _, err := w.nc.Write(framed(r.body(w.xid))); err != nil {
				t.Error(err)
				return
			}
			sent.Add(1)
		}
	}()
	pass(time.Second)
	return int(sent.Load())
}

// A client that does not read must not make the server keep its replies without end, nor hold anybody else up.
func TestClientThatDoesNotReadHoldsUpOnlyItself(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		if err := s.Put("/large", make([]byte, 1<<20-1000)); err != nil {
			t.Fatal(err)
		}
		const many = 50
		w, other := join(t, s), join(t, s)
		if taken := w.flood(t, &request{kind: OpGetData, path: "/large"}, many); taken < 3 || taken > outboxRoom>>20+4 {
			t.Errorf("%d requests for 1 MB each were taken, want a few", taken)
		}
		other.must(t, exists("/large"))
		for range many {
			if a, err := w.answer(); err != nil || a.code != CodeOK {
				t.Fatalf("%+v %v", a, err)
			}
		}
	})
}

// The same for requests that a silence holds back.
func TestSilenceHoldsNoMoreThanItsRoom(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		s.Silence(true)
		r := newNode("/a")
		r.data = make([]byte, 1<<20-1000)
		const many = 50
		if taken := w.flood(t, r, many); taken < outboxRoom>>20 || taken > outboxRoom>>20+4 {
			t.Errorf("%d requests of 1 MB each were taken, want a few", taken)
		}
		s.Silence(false)
		for i := range many {
			if a, err := w.answer(); err != nil || (a.code == CodeOK) != (i == 0) {
				t.Fatalf("%d: %v %v", i, a.code, err)
			}
		}
	})
}

func TestContainersAreSweptEveryMinute(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		w.must(t, &request{kind: OpCreateContainer, path: "/c", acl: openACL(), flags: containerFlag})
		w.must(t, newNode("/c/x"))
		r := remove("/c/x", -1)
		w.must(t, &r)
		zxid := s.Zxid()
		w.watch(t, "/c")
		for range 59 {
			pass(time.Second)
			w.must(t, exists("/c"))
		}
		pass(time.Second)
		w.mustNotify(t, eventDeleted, "/c")
		mustHave(t, s, "/c", false)
		if s.Zxid() != zxid+1 {
			t.Errorf("zxid %d, was %d", s.Zxid(), zxid)
		}
	})
}

// A client that has closed its end, as go-zookeeper does, must not keep the server's.
func TestConnectionOfAGoneClientEnds(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		w.watch(t, "/x")
		_ = w.nc.Close()
		synctest.Wait()
		if st := s.Stats(); st.Connections != 0 || st.Watches != 0 || st.Sessions != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// Whatever is called at the same time must not deadlock, race or tear the tree apart.
func TestEverythingAtOnce(t *testing.T) {
	s := Start(t)
	over := make(chan struct{})
	var clients, faults sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				nc, err := s.Dial(context.Background(), "", "")
				if i%2 == 0 {
					nc, err = net.Dial("tcp", s.Addr())
				}
				if err != nil {
					continue
				}
				w := &wire{nc: nc, r: bufio.NewReader(nc)}
				_ = nc.SetDeadline(time.Now().Add(time.Second)) // a silence may end only after all others have
				if w.handshake(connectRequest{timeoutMs: 10000}) == nil {
					_, _ = w.call(OpCreate2, newEphemeral(fmt.Sprintf("/%d-%d", i, n)).encode())
					_, _ = w.call(OpGetChildren2, (&request{kind: OpGetChildren2, path: "/", watch: true}).encode())
				}
				_ = nc.Close()
			}
		})
	}
	for _, fault := range []func(){
		func() { s.Stop(); _ = s.Start() },
		func() { s.Refuse(true); s.Refuse(false) },
		func() { s.Silence(true); s.Silence(false) },
		func() { s.Delay(time.Microsecond); s.Delay(0) },
		func() { s.FailNext(OpCreate2, CodeNoAuth, 1); s.CutAfter(OpGetChildren2, 1) },
		s.ExpireAll, s.DropConnections, s.Wipe, s.Checkpoint, s.Rollback,
		func() { _ = s.Put("/a/b", nil); _ = s.Delete("/a/b") },
		func() { s.Stats(); s.Tree(); s.Sessions() },
	} {
		faults.Go(func() {
			for range 100 {
				fault()
			}
		})
	}
	faults.Wait()
	close(over)
	clients.Wait()
	checkTree(t, s)
	openWire(t, s.Addr()).must(t, exists("/"))
}
