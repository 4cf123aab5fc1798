package zktest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// wire is a ZooKeeper client that hides nothing: it sends the bytes it is told to and shows every frame that comes.
type wire struct {
	nc       net.Conn
	r        *bufio.Reader
	xid      int32
	session  int64
	password []byte
	timeout  int32 // as negotiated, in ms
	zxid     int64 // last seen in a reply
}

// dialWire connects over TCP, without a handshake.
func dialWire(tb testing.TB, addr string) *wire {
	tb.Helper()
	nc, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	return newWire(tb, nc)
}

func newWire(tb testing.TB, nc net.Conn) *wire {
	tb.Helper()
	tb.Cleanup(func() { _ = nc.Close() })
	return &wire{nc: nc, r: bufio.NewReader(nc)}
}

// openWire connects and opens a session.
func openWire(tb testing.TB, addr string) *wire {
	tb.Helper()
	w := dialWire(tb, addr)
	if err := w.handshake(connectRequest{timeoutMs: 30000}); err != nil {
		tb.Fatal(err)
	}
	return w
}

// handshake opens a session or takes one up; session is 0 afterwards if the server says that it has expired.
func (w *wire) handshake(r connectRequest) error {
	if err := w.send(handshake(r)); err != nil {
		return err
	}
	frame, err := w.frame()
	if err != nil {
		return err
	}
	d := decoder{b: frame}
	d.int32()
	w.timeout, w.session, w.password = d.int32(), d.int64(), d.buffer()
	if r.readOnly && d.bool() {
		return errors.New("a read-only server")
	}
	if d.err != nil || len(d.b) != 0 {
		return fmt.Errorf("connect reply %x: %w", frame, errMalformed)
	}
	return nil
}

// handshake is the first frame of a connection.
func handshake(r connectRequest) []byte {
	if r.password == nil {
		r.password = make([]byte, passwordSize)
	}
	e := &encoder{}
	e.int32(0)
	e.int64(r.lastZxid)
	e.int32(r.timeoutMs)
	e.int64(r.session)
	e.buffer(r.password)
	if r.readOnly {
		e.bool(true)
	}
	return e.b
}

func (w *wire) send(body []byte) error {
	_ = w.nc.SetWriteDeadline(time.Now().Add(20 * time.Second))
	_, err := w.nc.Write(framed(body))
	return err
}

func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// body is a request with its header.
func (r *request) body(xid int32) []byte {
	e := &encoder{}
	e.int32(xid)
	e.int32(int32(r.kind))
	e.request(r)
	return e.b
}

func (w *wire) frame() ([]byte, error) {
	_ = w.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	return readFrame(w.r, 64<<20)
}

// post sends a request without waiting for the reply and returns its xid.
func (w *wire) post(kind Op, body []byte) (int32, error) {
	w.xid++
	return w.xid, w.postAs(w.xid, kind, body)
}

func (w *wire) postAs(xid int32, kind Op, body []byte) error {
	e := &encoder{}
	e.int32(xid)
	e.int32(int32(kind))
	return w.send(append(e.b, body...))
}

// answer is one frame of a connection after the handshake.
type answer struct {
	xid  int32
	zxid int64
	code Code
	body []byte
}

func (w *wire) answer() (answer, error) {
	frame, err := w.frame()
	if err != nil {
		return answer{}, err
	}
	d := decoder{b: frame}
	a := answer{xid: d.int32(), zxid: d.int64(), code: Code(d.int32())}
	a.body = d.b
	if a.xid > 0 && a.zxid > 0 {
		w.zxid = a.zxid
	}
	return a, d.err
}

// call sends a request and returns what came up to its reply, which is the last.
func (w *wire) call(kind Op, body []byte) ([]answer, error) {
	xid, err := w.post(kind, body)
	if err != nil {
		return nil, err
	}
	var list []answer
	for {
		a, err := w.answer()
		if err != nil {
			return list, err
		}
		list = append(list, a)
		if a.xid == xid {
			return list, nil
		}
	}
}

// must is call for a request that has to succeed and is not preceded by notifications.
func (w *wire) must(tb testing.TB, r *request) answer {
	tb.Helper()
	list, err := w.call(r.kind, r.encode())
	if err != nil || len(list) != 1 || list[0].code != CodeOK {
		tb.Fatalf("%v %s: %v %v", r.kind, r.path, list, err)
	}
	return list[0]
}

// eof reads until the server closes the connection and returns what came before.
func (w *wire) eof() ([]answer, error) {
	var list []answer
	for {
		a, err := w.answer()
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				return list, err
			}
			return list, nil
		}
		list = append(list, a)
	}
}

// encode is decodeRequest's other half.
func (r *request) encode() []byte {
	e := &encoder{}
	e.request(r)
	return e.b
}

func (e *encoder) request(r *request) {
	switch r.kind {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		e.string(r.path)
		e.buffer(r.data)
		e.acls(r.acl)
		e.int32(r.flags)
		if r.kind == OpCreateTTL {
			e.int64(5000)
		}
	case OpDelete, OpCheck, OpRemoveWatches, OpAddWatch:
		e.string(r.path)
		e.int32(r.version)
	case OpSetData:
		e.string(r.path)
		e.buffer(r.data)
		e.int32(r.version)
	case OpExists, OpGetData, OpGetChildren, OpGetChildren2:
		e.string(r.path)
		e.bool(r.watch)
	case OpGetACL, OpSync:
		e.string(r.path)
	case OpSetACL:
		e.string(r.path)
		e.acls(r.acl)
		e.int32(r.version)
	case OpMulti, OpMultiRead:
		for i := range r.parts {
			e.multiHeader(r.parts[i].kind, false, -1)
			e.request(&r.parts[i])
		}
		e.multiHeader(opError, true, -1)
	case OpAuth:
		e.int32(0)
		e.string(r.scheme)
		e.buffer(r.data)
	case OpSetWatches, OpSetWatches2:
		e.int64(r.watches.zxid)
		e.strings(r.watches.data)
		e.strings(r.watches.exist)
		e.strings(r.watches.child)
		if r.kind == OpSetWatches2 {
			e.strings(r.watches.persistent)
			e.strings(r.watches.recursive)
		}
	default:
	}
}

func (r *request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", r.path)
	switch r.kind {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		fmt.Fprintf(&b, " data %q nil %v acl %v flags %d", r.data, r.data == nil, r.acl, r.flags)
	case OpDelete, OpCheck, OpRemoveWatches, OpAddWatch:
		fmt.Fprintf(&b, " version %d", r.version)
	case OpSetData:
		fmt.Fprintf(&b, " data %q version %d", r.data, r.version)
	case OpSetACL:
		fmt.Fprintf(&b, " acl %v version %d", r.acl, r.version)
	case OpMulti, OpMultiRead:
		for i := range r.parts {
			fmt.Fprintf(&b, "\n\t\t%v %v", r.parts[i].kind, &r.parts[i])
		}
	case OpAuth:
		fmt.Fprintf(&b, " scheme %q %q", r.scheme, r.data)
	default:
		fmt.Fprintf(&b, " watch %v", r.watch)
	}
	return b.String()
}

func (d *decoder) stat() Stat {
	return Stat{
		Czxid: d.int64(), Mzxid: d.int64(), Ctime: d.int64(), Mtime: d.int64(), Version: d.int32(), Cversion: d.int32(), Aversion: d.int32(),
		EphemeralOwner: d.int64(), DataLength: d.int32(), NumChildren: d.int32(), Pzxid: d.int64(),
	}
}
