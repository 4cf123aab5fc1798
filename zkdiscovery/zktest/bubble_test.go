package zktest

import (
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// bubble runs f with a server in a bubble, and fails if Close leaves anything running.
func bubble(t *testing.T, f func(*testing.T, *Server), opts ...Option) {
	t.Helper()
	bubbles.Test(t, func(t *testing.T) {
		s := NewServer(opts...)
		defer s.Close()
		f(t, s)
	})
}

// pass lets d go by and everything settle.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// pipe connects to s without a handshake.
func pipe(t *testing.T, s *Server) *wire {
	t.Helper()
	nc, err := s.Dial(t.Context(), "tcp", "zk:2181")
	if err != nil {
		t.Fatal(err)
	}
	return newWire(t, nc)
}

// join opens a session of 10s.
func join(t *testing.T, s *Server) *wire {
	t.Helper()
	w := pipe(t, s)
	if err := w.handshake(connectRequest{timeoutMs: 10000}); err != nil {
		t.Fatal(err)
	}
	return w
}

// rejoin takes the session of w up on a new connection.
func rejoin(t *testing.T, s *Server, w *wire) *wire {
	t.Helper()
	n := pipe(t, s)
	if err := n.handshake(connectRequest{timeoutMs: 10000, session: w.session, password: w.password, lastZxid: w.zxid}); err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *wire) mustEnd(t *testing.T) {
	t.Helper()
	if a, err := w.answer(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%+v %v, want the end of the connection", a, err)
	}
}

// mustHearNothing waits a second in which nothing comes, not even the end of the connection.
func (w *wire) mustHearNothing(t *testing.T) {
	t.Helper()
	_ = w.nc.SetReadDeadline(time.Now().Add(time.Second))
	if n, err := w.nc.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes and %v, want silence", n, err)
	}
}

// mustNotify reads one notification.
func (w *wire) mustNotify(t *testing.T, kind eventType, path string) {
	t.Helper()
	a, err := w.answer()
	if err != nil {
		t.Fatal(err)
	}
	d := decoder{b: a.body}
	if got := (event{kind: eventType(d.int32())}).kind; a.xid != xidEvent || got != kind {
		t.Fatalf("%+v, want notification %d", a, kind)
	}
	d.int32()
	if got := d.string(); got != path {
		t.Fatalf("notification of %s, want %s", got, path)
	}
}

// mustFail sends a request that has to be answered with code.
func (w *wire) mustFail(t *testing.T, r *request, code Code) {
	t.Helper()
	list, err := w.call(r.kind, r.encode())
	if err != nil || len(list) != 1 || list[0].code != code {
		t.Fatalf("%v %s: %+v %v, want %v", r.kind, r.path, list, err, code)
	}
}

func exists(path string) *request { return &request{kind: OpExists, path: path} }

// watch asks whether path exists, and to be told when that changes.
func (w *wire) watch(t *testing.T, path string) {
	t.Helper()
	list, err := w.call(OpExists, (&request{kind: OpExists, path: path, watch: true}).encode())
	if err != nil || len(list) != 1 || list[0].code != CodeOK && list[0].code != CodeNoNode {
		t.Fatalf("exists %s: %+v %v", path, list, err)
	}
}

func newEphemeral(path string) *request {
	r := create(path, ephemeral)
	return &r
}

func newNode(path string) *request {
	r := create(path, persistent)
	return &r
}

func mustPut(t *testing.T, s *Server, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := s.Put(p, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
}

func mustHave(t *testing.T, s *Server, path string, want bool) {
	t.Helper()
	_, err := s.Get(path)
	if got := err == nil; got != want {
		t.Fatalf("%s exists: %v, want %v", path, got, want)
	}
}

func mustSessions(t *testing.T, s *Server, of ...*wire) {
	t.Helper()
	var want []int64
	for _, w := range of {
		want = append(want, w.session)
	}
	slices.Sort(want)
	if got := s.Sessions(); !slices.Equal(got, want) {
		t.Fatalf("sessions %x, want %x", got, want)
	}
}
