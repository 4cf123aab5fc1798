package session

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// FuzzFraming: whatever pieces the network makes of both directions, go-zookeeper and the server see of each other, to the byte, what they would see
// without the link, and every answer to one of the library's own requests goes to the request, or to nobody if that was given up.
func FuzzFraming(f *testing.F) {
	for seed := range uint64(12) {
		f.Add(seed, uint16(300))
	}
	f.Fuzz(func(t *testing.T, seed uint64, frames uint16) {
		if testing.Short() {
			frames = min(frames, 50)
		}
		newDialogue(t, seed).play(int(frames%1000) + 1)
	})
}

// dialogue is a link between a go-zookeeper and a server that only the test knows.
type dialogue struct {
	*testing.T
	seed uint64
	k    *link
	far  *farEnd
	said []byte // by go-zookeeper …
	got  []byte // … and what it got
}

const dialogueMaxReply = 100 << 10

func newDialogue(t *testing.T, seed uint64) *dialogue {
	t.Helper()
	client, server := net.Pipe()
	s := &Session{cfg: Config{MaxReply: dialogueMaxReply}, ctx: context.Background(), subs: make(map[string][]*Subscription)}
	d := &dialogue{T: t, seed: seed, k: newLink(newLine(s), client, target{}, time.Hour)}
	d.k.window.extend(Extension{Batches: seed%2 == 1})
	d.far = &farEnd{c: server, r: d.random(0), queued: make(chan struct{}, 1)}
	return d
}

// random is a source for one goroutine.
func (d *dialogue) random(of uint64) *rand.Rand { return rand.New(rand.NewPCG(d.seed, of)) }

// play has both sides send so many frames at least.
func (d *dialogue) play(frames int) {
	var far, near, own sync.WaitGroup
	far.Go(d.far.read)
	far.Go(func() { d.far.write(d.random(1)) })
	near.Go(func() { d.got = readRagged(d.k, d.random(2)) })
	d.say(sealed(append(be.AppendUint64(make([]byte, 8, 60), 0), make([]byte, 4+8+4+16)...))) // a ConnectRequest
	own.Go(func() {
		for {
			more, err := d.k.sendNext()
			if err != nil {
				return
			}
			if !more {
				select {
				case <-d.k.window.wake:
				case <-d.k.done:
					return
				}
			}
		}
	})
	var asking sync.WaitGroup
	for i := range 3 {
		asking.Go(func() { d.ask(d.random(uint64(10+i)), frames/3+1) })
	}
	r := d.random(3)
	for xid := range int32(frames) {
		if r.IntN(20) == 0 {
			d.say(sealed(newFrame(xidPing, opPing)))
		}
		d.say(sealed(append(newFrame(xid+1, opExists), make([]byte, r.IntN(300))...)))
	}
	asking.Wait()
	d.say(sealed(newFrame(int32(frames)+1, opClose)))
	far.Wait()
	near.Wait()
	d.k.end(errDropped)
	own.Wait()

	if !bytes.Equal(d.got, d.far.said) {
		d.Errorf("seed %d: go-zookeeper got %d bytes that differ at %d from the %d which the server has sent it: %v", d.seed, len(d.got), firstDifference(d.got, d.far.said), len(d.far.said), d.k.cause)
	}
	if !bytes.Equal(d.far.got, d.said) {
		d.Errorf("seed %d: the server got %d bytes of go-zookeeper's that differ at %d from the %d which it has sent", d.seed, len(d.far.got), firstDifference(d.far.got, d.said), len(d.said))
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// say writes a frame as go-zookeeper does.
func (d *dialogue) say(frame []byte) {
	d.said = append(d.said, frame...)
	if _, err := d.k.Write(frame); err != nil {
		d.Errorf("seed %d: %v", d.seed, err)
	}
}

// ask makes so many requests of the library's own, some of which are given up.
func (d *dialogue) ask(r *rand.Rand, requests int) {
	for asked := 0; asked < requests; {
		name := fmt.Sprint("/", r.Uint64(), "-")
		x := &exchange{op: opGetData, n: 1 + r.IntN(60), path: func(i int) string { return name + fmt.Sprint(i) }, done: make(chan struct{})}
		asked += x.n
		enough := x.n // then it is given up
		if r.IntN(3) == 0 {
			enough = r.IntN(x.n)
		}
		var over atomic.Bool
		taken, reached := 0, make(chan struct{})
		x.take = func(i int, refusal error, body []byte) error {
			if over.Load() {
				d.Errorf("seed %d: an answer after the request was given up", d.seed)
			}
			if taken++; taken == enough {
				close(reached)
			}
			if refusal != nil { // the answer is over the limit
				return refusal
			}
			data, _, err := decodeData(body)
			if want := x.path(i); err != nil || i != taken-1 || strings.TrimRight(string(data), "\x00") != want {
				d.Errorf("seed %d: answer %d to %d: %.40q, %v; want %s", d.seed, taken-1, i, data, err, want)
			}
			return err
		}
		if enough == 0 {
			close(reached)
		}
		d.k.window.add(x)
		select {
		case <-x.done:
		case <-reached:
		case <-d.k.done:
			d.Errorf("seed %d: %v", d.seed, d.k.cause)
			return
		}
		x.stop()
		over.Store(true)
	}
}

// readRagged reads in pieces of any size until the end.
func readRagged(from io.Reader, r *rand.Rand) (all []byte) {
	for b := make([]byte, 64<<10); ; {
		n, err := from.Read(b[:1+r.IntN(1<<r.IntN(16))])
		all = append(all, b[:n]...)
		if err != nil {
			return all
		}
	}
}

// ragged reads in pieces of any size.
type ragged struct {
	io.Reader
	r *rand.Rand
}

func (c ragged) Read(b []byte) (int, error) {
	return c.Reader.Read(b[:min(len(b), 1+c.r.IntN(1<<c.r.IntN(14)))])
}

// farEnd is a server. It answers every request, tells events in between, and makes pieces of any size of what it sends.
type farEnd struct {
	c         net.Conn
	r         *rand.Rand // read's
	got, said []byte     // of and to go-zookeeper
	queued    chan struct{}

	mu    sync.Mutex
	queue []byte
	ended bool
}

// read answers until the request to end the session has come.
func (e *farEnd) read() {
	defer e.send(nil, true)
	in := ragged{e.c, e.r}
	for first := true; ; first = false {
		frame := make([]byte, 4)
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		frame = append(frame, make([]byte, be.Uint32(frame))...)
		if _, err := io.ReadFull(in, frame[4:]); err != nil {
			return
		}
		switch {
		case first:
			e.tell(frame, welcome(4000, 5))
		case i32(frame[4:]) <= xidOwn:
			e.send(e.answer(frame), false)
		case i32(frame[4:]) == xidPing:
			e.tell(frame, reply(xidPing, 0, ""))
		case i32(frame[8:]) == opClose:
			e.tell(frame, reply(i32(frame[4:]), 0, ""))
			return
		default:
			size := e.r.IntN(200)
			if e.r.IntN(50) == 0 {
				size = e.r.IntN(dialogueMaxReply - replyHeader)
			}
			e.tell(frame, reply(i32(frame[4:]), -int32(e.r.IntN(2)*101), string(make([]byte, size))))
		}
		if e.r.IntN(5) == 0 {
			e.tell(nil, event(3, fmt.Sprint("/some/path/", e.r.Uint64())))
		}
	}
}

// tell answers what go-zookeeper has asked.
func (e *farEnd) tell(asked, answer []byte) {
	e.got, e.said = append(e.got, asked...), append(e.said, answer...)
	e.send(answer, false)
}

// answer is that to a read of the library's own: the data are the path, and now and then so much more that the answer is over the limit.
func (e *farEnd) answer(frame []byte) []byte {
	padding := ""
	if e.r.IntN(100) == 0 {
		padding = string(make([]byte, e.r.IntN(2*dialogueMaxReply)))
	}
	xid, op, body := i32(frame[4:]), i32(frame[8:]), frame[12:]
	path := func(b []byte) string { return string(b[4 : 4+be.Uint32(b)]) }
	if op == opGetData {
		return reply(xid, 0, string(data(path(body)+padding)))
	}
	var parts []byte
	for ; body[4] == 0; body = body[multiHeaderSize+4+len(path(body[multiHeaderSize:]))+1:] {
		parts = append(parts, 0, 0, 0, opGetData, 0, 0, 0, 0, 0)
		parts = append(parts, data(path(body[multiHeaderSize:])+padding)...)
		padding = ""
	}
	return reply(xid, 0, string(append(parts, 255, 255, 255, 255, 1, 255, 255, 255, 255)))
}

func (e *farEnd) send(frame []byte, end bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue, e.ended = append(e.queue, frame...), e.ended || end
	select {
	case e.queued <- struct{}{}:
	default:
	}
}

// write sends what is queued, wherever frames begin and end.
func (e *farEnd) write(r *rand.Rand) {
	defer e.c.Close()
	for range e.queued {
		for {
			e.mu.Lock()
			n, ended := len(e.queue), e.ended
			if n > 0 && r.IntN(4) > 0 {
				n = 1 + r.IntN(min(n, 1<<r.IntN(17)))
			}
			piece := e.queue[:n]
			e.queue = e.queue[n:]
			e.mu.Unlock()
			if n == 0 && ended {
				return
			}
			if n == 0 {
				break
			}
			if _, err := e.c.Write(piece); err != nil {
				return
			}
		}
	}
}

// event is a notification of a node: kind is 1 created, 2 deleted, 3 data changed, 4 children changed.
func event(kind int32, path string) []byte {
	body := be.AppendUint32(be.AppendUint32(nil, uint32(kind)), 3)
	return reply(-1, 0, string(appendString(body, path)))
}
