package zkdiscovery

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Frames of ZooKeeper's, as far as they are spoilt here: a length, then xid 4, zxid 8 and code 4, and a body.
const (
	frameHead = 4 + 16
	xidOwn    = -1000 // and less: the library's own requests
)

func word(b []byte) int32 { return int32(binary.BigEndian.Uint32(b)) }

// withWord is a frame with 4 bytes of it replaced.
func withWord(frame []byte, at int, v uint32) []byte {
	b := bytes.Clone(frame)
	binary.BigEndian.PutUint32(b[at:], v)
	return b
}

// withBody is a frame with another body.
func withBody(frame, body []byte) []byte {
	b := append(bytes.Clone(frame[:frameHead]), body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// hostile is a connection to a server that spoils one frame of a kind. What it says after that is still the server's.
type hostile struct {
	net.Conn
	spoil   *spoil
	pending []byte
}

// spoil is what is to become of the next frame that is its.
type spoil struct {
	armed atomic.Bool
	ours  bool // an answer to one of the library's own requests; else an event
	with  func(frame []byte) []byte
}

func (c *hostile) Read(b []byte) (int, error) {
	if len(c.pending) == 0 {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c.Conn, head); err != nil {
			return 0, err
		}
		frame := append(head, make([]byte, word(head))...)
		if _, err := io.ReadFull(c.Conn, frame[4:]); err != nil {
			return 0, err
		}
		if xid := word(frame[4:]); (c.spoil.ours && xid <= xidOwn || !c.spoil.ours && xid == -1) && c.spoil.armed.CompareAndSwap(true, false) {
			frame = c.spoil.with(frame)
		}
		c.pending = frame
	}
	n := copy(b, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// Whatever a server sends, the connection to it ends with an error that says why, the list stays, no memory is taken for what is only announced, and
// the next connection is as good as any.
func TestHostileServerCostsAConnectionAndNothingElse(t *testing.T) {
	type row struct {
		what  string
		ours  bool
		lasts time.Duration // until it can be told
		why   string
		with  func(frame []byte) []byte
	}
	rows := []row{
		{"a negative length", true, 0, "a frame of -16 bytes", func(f []byte) []byte { return withWord(f, 0, 0xfffffff0) }},
		{"a frame shorter than its header", true, 0, "a frame of 8 bytes", func(f []byte) []byte { return withWord(f[:12], 0, 8) }},
		{"HTTP", false, 0, "over the size limit", func([]byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n") }},
		{"an event of 2 GB", false, 0, "over the size limit", func(f []byte) []byte { return withWord(f, 0, 0x7fffffff) }},
		{"an answer of 2 GB", true, time.Minute, "over the size limit", func(f []byte) []byte { return withWord(f, 0, 0x7fffffff) }},
		{"an answer of 60 MB that does not come", true, time.Minute, "", func(f []byte) []byte { return withWord(f, 0, 60<<20) }},
		{"an answer that has less than it says", true, time.Minute, "", func(f []byte) []byte { return withWord(f, 0, uint32(len(f))+1000) }},
		{"an event of a kind that there is not", false, 0, "an event of kind 99", func(f []byte) []byte { return withWord(f, frameHead, 99) }},
		{"an event without a body", false, 0, "an event of 0 bytes", func(f []byte) []byte { return withBody(f, nil) }},
		{"an event with a path of 2 GB", false, 0, "path", func(f []byte) []byte { return withWord(f, frameHead+8, 0x7fffffff) }},
		{"an answer to another request", true, 0, "out of turn", func(f []byte) []byte { return withWord(f, 4, uint32(word(f[4:])-1)) }},
		{"an answer to a request of go-zookeeper's", true, 0, "request 4711", func(f []byte) []byte { return withWord(f, 4, 4711) }},
		{"an answer to nobody", true, 0, "request -3", func(f []byte) []byte { return withWord(f, 4, 0xfffffffd) }},
		{"an answer twice", true, 0, "out of turn", func(f []byte) []byte { return slices.Concat(f, f) }},
		{"an answer without a body", true, 0, "protocol", func(f []byte) []byte { return withBody(f, nil) }},
		{"an answer that is cut", true, 0, "protocol", func(f []byte) []byte { return withBody(f, f[frameHead:len(f)-1]) }},
	}
	for _, wire := range []string{"", "off"} {
		more := []row{
			{"a multiRead that is all zeros", true, 0, "protocol", func(f []byte) []byte { return withBody(f, make([]byte, len(f)-frameHead)) }},
			{"a multiRead without an end", true, 0, "protocol", func(f []byte) []byte { return withBody(f, f[frameHead:len(f)-9]) }},
			{"a multiRead with too many answers", true, 0, "protocol", func(f []byte) []byte { b := f[frameHead:]; return withBody(f, slices.Concat(b[:len(b)-9], b)) }},
			{"a multiRead with an answer of another kind", true, 0, "request 8", func(f []byte) []byte { return withWord(f, frameHead, 8) }},
			{"a multiRead with data of 2 GB", true, 0, "protocol", func(f []byte) []byte { return withWord(f, frameHead+9, 0x7fffffff) }},
		}
		if wire == "off" { // then what comes first is a list
			more = []row{
				{"a list of -2 names", true, 0, "a list of -2", func(f []byte) []byte { return withWord(f, frameHead, 0xfffffffe) }},
				{"a list of a billion names", true, 0, "a list of 1073741824", func(f []byte) []byte { return withWord(f, frameHead, 1<<30) }},
				{"a name of 2 GB", true, 0, "a name of 2147483647", func(f []byte) []byte { return withWord(f, frameHead+4, 0x7fffffff) }},
			}
		}
		for _, r := range slices.Concat(rows, more) {
			t.Run(strings.TrimSpace(r.what+" "+wire), func(t *testing.T) {
				t.Setenv("HOLDFAST_WIRE", wire)
				inBubble(t, func(w *world) { w.outlives(r.lasts, r.why, &spoil{ours: r.ours, with: r.with}) })
			})
		}
	}
}

// outlives has a server spoil a frame.
func (w *world) outlives(lasts time.Duration, why string, s *spoil) {
	w.Helper()
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := w.zk.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &hostile{Conn: c, spoil: s}, nil
	}
	var want []string
	put := func(n int) {
		w.put("Arith", fmt.Sprintf("tcp@host-%02d:1", n), fmt.Sprint("n=", n))
		want = append(want, fmt.Sprintf("tcp@host-%02d:1", n))
	}
	for n := range 10 {
		put(n)
	}
	d := w.discover("Arith", WithDialer(dial))
	pass(time.Second)
	w.lists(d, strings.Join(want, ","))
	fewest := len(want)
	ch := d.WatchService()
	<-ch
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		for pairs := range ch {
			fewest = min(fewest, len(pairs))
		}
	}()

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.armed.Store(true)
	put(10)
	pass(lasts)
	runtime.ReadMemStats(&after)
	if got := len(d.GetServices()); s.armed.Load() || got < 10 {
		w.Errorf("spoilt %v, %d instances", !s.armed.Load(), got)
	}
	pass(10*time.Second + 5*time.Second) // session timeout and one backoff
	lost := strings.Join(w.log.from(slog.LevelWarn), "\n")
	st := d.Status()
	if !strings.Contains(lost, "connection to ZooKeeper lost") || !strings.Contains(lost, why) || strings.Contains(lost, "err=closed") {
		w.Errorf("want %q in the log:\n%s", why, lost)
	}
	if h := st.History; len(h) != 3 || h[1].Err == nil || !strings.Contains(h[1].Err.Error(), why) || st.LastErr == nil || !strings.Contains(st.LastErr.Error(), why) {
		w.Errorf("the status says %v, %+v", st.LastErr, h)
	}
	// go-zookeeper takes 3 MB for a connection, whatever comes.
	if took := after.TotalAlloc - before.TotalAlloc; took > 12<<20 {
		w.Errorf("%d bytes were taken", took)
	}
	w.lists(d, strings.Join(want, ","))
	put(11)
	pass(time.Second)
	w.lists(d, strings.Join(want, ","))
	w.source(d, Live)
	others := slices.DeleteFunc(w.log.from(slog.LevelWarn), func(line string) bool {
		return strings.Contains(line, "connection to ZooKeeper lost") || lasts > 0 && strings.Contains(line, "does not give the list")
	})
	if st.Mended > 0 || len(others) > 0 {
		w.Errorf("%d mended, and the log has\n%s", st.Mended, strings.Join(others, "\n"))
	}
	d.RemoveWatcher(ch)
	close(ch)
	<-listening
	if fewest < 10 {
		w.Errorf("a watcher was told a list of %d", fewest)
	}
}

// A client that has seen the future is turned away by every server. So the session is given up for a new one, once it is clear that this is why.
func TestTransactionNumberOfTheFarFutureCostsASession(t *testing.T) {
	for _, ours := range []bool{true, false} {
		inBubble(t, func(w *world) {
			s := &spoil{ours: ours, with: func(f []byte) []byte { return withWord(f, 8, 0x70000000) }}
			w.put("Arith", "tcp@a:1", "n=1")
			d := w.discover("Arith", WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := w.zk.Dial(ctx, network, addr)
				return &hostile{Conn: c, spoil: s}, err
			}))
			pass(time.Second)
			s.armed.Store(true)
			w.put("Arith", "tcp@b:1", "n=2")
			pass(time.Second)
			w.zk.DropConnections()
			for range 60 {
				pass(time.Second)
				if n := len(d.GetServices()); n != 2 {
					w.Fatalf("%d instances", n)
				}
			}
			w.put("Arith", "tcp@c:1", "n=3")
			pass(time.Second)
			w.lists(d, "tcp@a:1,tcp@b:1,tcp@c:1")
			w.source(d, Live)
			if st := d.Status(); s.armed.Load() || st.Sessions > 2 || st.Held > 0 {
				w.Errorf("%v", st)
			}
		})
	}
}
