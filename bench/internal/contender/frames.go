package contender

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// What is needed of ZooKeeper's protocol (zookeeper.jute, MultiOperationRecord).
const (
	opGetData      = 4
	opPing         = 11
	opMultiRead    = 22
	opAddWatch     = 106
	multiData      = 4
	multiChildren  = 8
	watchRecursive = 1
	xidEvent       = -1
	xidPing        = -2
	eventDeleted   = 2
	statSize       = 68
	largestFrame   = 64 << 20
)

// frames is a connection to ZooKeeper, frame by frame. What is asked is sent by flush. One goroutine may call next while others ask.
type frames struct {
	conn net.Conn
	in   *bufio.Reader

	mu      sync.Mutex
	out     []byte
	xid     int32
	welcome bool // has come; the reader's
}

func newFrames(c net.Conn) *frames { return &frames{conn: c, in: bufio.NewReaderSize(c, 256<<10)} }

func (f *frames) close() { f.conn.Close() }

// ask appends a frame: a length, and what write appends behind it.
func (f *frames) ask(write func(b []byte) []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := len(f.out)
	f.out = write(append(f.out, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(f.out[at:], uint32(len(f.out)-at-4)) //nolint:gosec // far below 4 GB
}

// request is ask for everything but connecting: xid and operation go before.
func (f *frames) request(op int32, write func(b []byte) []byte) {
	f.ask(func(b []byte) []byte {
		xid := int32(xidPing)
		if op != opPing {
			f.xid++
			xid = f.xid
		}
		return write(number(number(b, xid), op))
	})
}

func (f *frames) flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.conn.Write(f.out)
	f.out = f.out[:0]
	return err
}

func (f *frames) connect(timeout time.Duration) {
	f.ask(func(b []byte) []byte {
		b = append(number(b, 0), make([]byte, 8)...)        // the protocol's version, the last zxid
		b = number(b, int32(timeout.Milliseconds()))        //nolint:gosec // seconds
		b = append(b, make([]byte, 8)...)                   // no session yet
		return append(text(b, string(make([]byte, 16))), 0) // its password; not read-only
	})
}

func (f *frames) addWatch(path string) {
	f.request(opAddWatch, func(b []byte) []byte { return number(text(b, path), watchRecursive) })
}

func (f *frames) getData(path string) {
	f.request(opGetData, func(b []byte) []byte { return append(text(b, path), 0) })
}

func (f *frames) ping() { f.request(opPing, func(b []byte) []byte { return b }) }

// multiRead reads the same kind of every path.
func (f *frames) multiRead(kind int32, paths ...string) {
	f.request(opMultiRead, func(b []byte) []byte {
		for _, path := range paths {
			b = append(text(multiHeader(b, kind, 0), path), 0)
		}
		return multiHeader(b, -1, 1)
	})
}

func multiHeader(b []byte, kind int32, done byte) []byte {
	return number(append(number(b, kind), done), -1)
}

func number(b []byte, n int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) } //nolint:gosec // the wire's integers are signed

func text(b []byte, s string) []byte { return append(number(b, int32(len(s))), s...) } //nolint:gosec // never so long

// reply is a frame from the server.
type reply struct {
	xid, code int32
	body      []byte // valid as long as anybody wants it
}

func (r reply) refusal() error {
	if r.code != 0 {
		return fmt.Errorf("ZooKeeper answers %d", r.code)
	}
	return nil
}

// next is the next frame. The first is the session's and is all body.
func (f *frames) next() (reply, error) {
	var size [4]byte
	if _, err := io.ReadFull(f.in, size[:]); err != nil {
		return reply{}, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > largestFrame {
		return reply{}, fmt.Errorf("a frame of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(f.in, b); err != nil {
		return reply{}, err
	}
	if !f.welcome {
		f.welcome = true
		return reply{body: b}, nil
	}
	if len(b) < 16 {
		return reply{}, errShort
	}
	return reply{xid: signed(b), code: signed(b[12:]), body: b[16:]}, nil
}

var errShort = errors.New("a frame of ZooKeeper's is too short")

func signed(b []byte) int32 { return int32(binary.BigEndian.Uint32(b)) } //nolint:gosec // the wire's integers are signed

// takeText takes a length and as many bytes from the beginning of b.
func takeText(b []byte) (s string, rest []byte, err error) {
	if len(b) < 4 {
		return "", nil, errShort
	}
	n := max(0, int(signed(b))) // -1 is none
	if len(b) < 4+n {
		return "", nil, errShort
	}
	return string(b[4 : 4+n]), b[4+n:], nil
}

// takeHeader takes the header of one result of a batched read. What could not be read has no value.
func takeHeader(b []byte) (code int32, rest []byte, err error) {
	if len(b) < 9 {
		return 0, nil, errShort
	}
	return signed(b[5:]), b[9:], nil
}

func decodeNames(b []byte) ([]string, error) {
	code, b, err := takeHeader(b)
	switch {
	case err != nil:
		return nil, err
	case code != 0:
		return nil, reply{code: code}.refusal()
	case len(b) < 4:
		return nil, errShort
	}
	names := make([]string, max(0, signed(b)))
	b = b[4:]
	for i := range names {
		if names[i], b, err = takeText(b); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func decodeValues(b []byte, n int) ([]string, error) {
	values := make([]string, n)
	for i := range values {
		code, rest, err := takeHeader(b)
		if err != nil {
			return nil, err
		}
		if code != 0 {
			b = rest[min(4, len(rest)):]
			continue
		}
		if values[i], rest, err = takeText(rest); err != nil || len(rest) < statSize {
			return nil, errors.Join(err, errShort)
		}
		b = rest[statSize:]
	}
	return values, nil
}

func decodeValue(b []byte) (string, error) {
	s, _, err := takeText(b)
	return s, err
}

func decodeEvent(b []byte) (kind int32, path string, err error) {
	if len(b) < 8 {
		return 0, "", errShort
	}
	path, _, err = takeText(b[8:])
	return signed(b), path, err
}
