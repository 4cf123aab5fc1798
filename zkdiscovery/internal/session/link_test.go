package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// scripted is a transport that has been sent so much, and takes everything.
type scripted struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (c *scripted) Read(b []byte) (int, error)      { return c.in.Read(b) }
func (c *scripted) Write(b []byte) (int, error)     { return c.out.Write(b) }
func (c *scripted) Close() error                    { return nil }
func (c *scripted) SetReadDeadline(time.Time) error { return nil }

// testLink is a link of a line that nobody runs, with what the server has sent.
func testLink(received []byte, maxReply int) (*link, *scripted) {
	s := &Session{cfg: Config{MaxReply: maxReply, Auth: credentials}, ctx: context.Background(), subs: make(map[string][]*Subscription)}
	c := &scripted{in: bytes.NewReader(received)}
	return newLink(newLine(s), c, target{}, time.Hour), c
}

func welcome(timeoutMs int32, id int64) []byte {
	f := be.AppendUint32(make([]byte, 4, 64), 0)
	f = be.AppendUint64(be.AppendUint32(f, uint32(timeoutMs)), uint64(id))
	return sealed(append(appendString(f, make([]byte, 16)), 0))
}

func reply(xid, code int32, body string) []byte {
	f := be.AppendUint32(make([]byte, 4, 64), uint32(xid))
	f = be.AppendUint32(be.AppendUint64(f, 77), uint32(code))
	return sealed(append(f, body...))
}

// lone is an exchange of one request, of which answered takes what came of it.
func lone(op int32, path string, answered func(refusal error, body []byte) error) *exchange {
	return &exchange{
		op: op, n: 1, path: func(int) string { return path }, watch: true, done: make(chan struct{}),
		take: func(_ int, refusal error, body []byte) error { return answered(refusal, body) },
	}
}

// send sends all requests of x.
func send(k *link, x *exchange) error {
	k.window.add(x)
	_, err := k.sendNext()
	return err
}

// expects notes requests of go-zookeeper's.
func expects(k *link, xids ...int32) {
	for _, xid := range xids {
		k.theirs.ask(xid, opExists)
	}
}

func whatever(error, []byte) error { return nil }

func TestLinkHandsOutWhatItWasSentAndNothingElse(t *testing.T) {
	sent := slices.Concat(welcome(4000, 5), reply(1, 0, "hello"), reply(xidPing, 0, ""), event(3, "/an/event"), reply(2, -101, ""))
	for _, size := range []int{1, 3, 7, 1000} {
		k, _ := testLink(sent, 100)
		expects(k, 1, 2)
		var got []byte
		b := make([]byte, size)
		for {
			n, err := k.Read(b)
			got = append(got, b[:n]...)
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got, sent) || !errors.Is(k.cause, io.EOF) {
			t.Errorf("reads of %d bytes: %d of %d bytes, %v", size, len(got), len(sent), k.cause)
		}
		if !k.established() || k.sessionTimeout() != 4*time.Second || k.sessionID.Load() != 5 {
			t.Error("the welcome was not noted")
		}
	}
}

func TestLinkRefusesAFrameBeforeAnybodyReadsIt(t *testing.T) {
	for _, tc := range []struct {
		what string
		sent []byte
		want error
	}{
		{"over the limit", reply(1, 0, string(make([]byte, 100))), ErrReplyTooLarge},
		{"over the limit, as the answer to the end of the session", reply(xidGoodbye, 0, string(make([]byte, 100))), ErrReplyTooLarge},
		{"too short for a reply", sealed(make([]byte, 4+15)), errForeign},
		{"of negative length", []byte{0xff, 0xff, 0xff, 0xf0}, errForeign},
		{"credentials that are refused", reply(xidAuth, -115, ""), ErrAuthRefused},
		{"watches that are", reply(xidSetWatches, -5, ""), errRewatch},
	} {
		k, _ := testLink(slices.Concat(welcome(4000, 5), tc.sent), 100)
		got, err := io.ReadAll(k)
		if !errors.Is(err, tc.want) || !errors.Is(k.cause, tc.want) || !bytes.Equal(got, welcome(4000, 5)) {
			t.Errorf("%s: %v and %v after %d bytes", tc.what, err, k.cause, len(got))
		}
	}
}

func TestLinkNotesWatchesBeforeTheAnswerIsTaken(t *testing.T) {
	for _, tc := range []struct {
		op    int32
		kind  watchKind
		code  int32
		noted bool
	}{
		{opGetData, dataWatch, 0, true},
		{opGetData, dataWatch, codeNoNode, false},
		{opChildren2, childWatch, 0, true},
		{opChildren2, childWatch, -102, false},
		{opExists, existWatch, codeNoNode, true},
		{opExists, existWatch, 0, false},
		{opExists, existWatch, -102, false},
	} {
		k, _ := testLink(slices.Concat(welcome(4000, 5), reply(xidOwn, tc.code, "abc")), 100)
		w := k.line.watches
		noted, told := false, false
		x := lone(tc.op, "/a/b", func(refusal error, body []byte) error {
			told, noted = true, w.outstanding() == 1 && w.isPlaced(watchKey{"/a/b", tc.kind})
			if (refusal == nil) != (tc.code == 0) || string(body) != "abc" {
				t.Errorf("%+v: %v, %q", tc, refusal, body)
			}
			return nil
		})
		must(t, send(k, x))
		got, err := io.ReadAll(k)
		if !bytes.Equal(got, welcome(4000, 5)) || !errors.Is(err, io.EOF) && err != nil {
			t.Errorf("%+v: handed out %x, %v", tc, got, err)
		}
		if !told || noted != tc.noted || w.outstanding() > 1 || k.line.hasSeen(0) != 77 {
			t.Errorf("%+v: told %v, noted %v, seen %d", tc, told, noted, k.line.hasSeen(0))
		}
	}
}

func TestLinkAsksForAWatchWhereNoneIsOutstanding(t *testing.T) {
	k, c := testLink(nil, 100)
	w := k.line.watches
	w.placed(watchKey{"/b", dataWatch})
	w.placed(watchKey{"/c", dataWatch})
	w.doubt("/c")
	names := []string{"/a", "/b", "/c"}
	x := &exchange{op: opGetData, n: 3, path: func(i int) string { return names[i] }, watch: true}
	must(t, send(k, x))
	must(t, send(k, &exchange{op: opGetData, n: 1, path: x.path}))
	must(t, send(k, lone(opSync, "/a", whatever)))
	var want []byte
	for i, r := range []struct {
		op   int32
		path string
		flag []byte
	}{{opGetData, "/a", []byte{1}}, {opGetData, "/b", []byte{0}}, {opGetData, "/c", []byte{1}}, {opGetData, "/a", []byte{0}}, {opSync, "/a", nil}} {
		want = append(want, sealed(append(appendString(newFrame(int32(xidOwn-i), r.op), r.path), r.flag...))...)
	}
	if !bytes.Equal(c.out.Bytes(), want) {
		t.Errorf("sent\n%x, want\n%x", c.out.Bytes(), want)
	}
}

func TestLinkPassesGoZookeepersFramesOnAsTheyAre(t *testing.T) {
	k, c := testLink(nil, 100)
	k.out.greeted = true
	for _, f := range [][]byte{
		sealed(append(appendString(newFrame(1, opGetData), "/a"), 0)), newFrame(6, opClose), sealed(newFrame(xidPing, 11)),
		{0, 0, 0, 0},
		{},
	} {
		c.out.Reset()
		if _, err := k.Write(f); err != nil || !bytes.Equal(c.out.Bytes(), f) {
			t.Errorf("%x became %x, %v", f, c.out.Bytes(), err)
		}
	}
}

// What go-zookeeper has not been told of counts as well: a server that is behind it must not serve this session.
func TestLinkGreetsWithTheNewestZxidThatAnybodyHasSeen(t *testing.T) {
	for _, tc := range []struct {
		theirs, ours, want int64
		asNew              bool
	}{{5, 7, 7, false}, {7, 5, 7, false}, {7, 5, 0, true}} {
		k, c := testLink(nil, 100)
		k.line.s.cfg.Auth, k.target.asNew = nil, tc.asNew
		k.line.hasSeen(tc.ours)
		hello := sealed(append(be.AppendUint64(make([]byte, 8, 60), uint64(tc.theirs)), make([]byte, 4+8+4+16)...))
		if _, err := k.Write(hello); err != nil || i64(c.out.Bytes()[8:]) != tc.want || k.out.seen != 7 {
			t.Errorf("%+v: %x, %v, %d", tc, c.out.Bytes(), err, k.out.seen)
		}
	}
}

func TestLinkGivesEveryAnswerToItsRequest(t *testing.T) {
	big := string(make([]byte, 100_000)) // more than the buffer has room for
	sent := slices.Concat(welcome(4000, 5), reply(xidOwn, 0, "a"), reply(1, 0, "theirs"), reply(xidOwn-1, 0, big), event(3, "/an/event"),
		reply(xidOwn-2, codeNoNode, ""), reply(xidOwn-3, 0, "last"))
	k, _ := testLink(sent, 200_000)
	expects(k, 1)
	var got []string
	x := &exchange{op: opGetData, n: 4, path: func(int) string { return "/a" }, done: make(chan struct{}), take: func(i int, refusal error, body []byte) error {
		got = append(got, fmt.Sprint(i, refusal, len(body)))
		return nil
	}}
	must(t, send(k, x))
	theirs, _ := io.ReadAll(k)
	if want := slices.Concat(welcome(4000, 5), reply(1, 0, "theirs"), event(3, "/an/event")); !bytes.Equal(theirs, want) {
		t.Errorf("go-zookeeper was handed %x, want %x", theirs, want)
	}
	want := []string{"0 <nil> 1", "1 <nil> 100000", "2 " + ErrNoNode.Error() + " 0", "3 <nil> 4"}
	if diff := cmp.Diff(want, got); diff != "" || !x.over || x.err != nil {
		t.Errorf("%v, %s", x.err, diff)
	}
}

func TestLinkRefusesAnAnswerToNothing(t *testing.T) {
	for _, answer := range [][]byte{reply(xidOwn-1, 0, ""), reply(xidOwn, 0, "no stat"), reply(-1<<31, 0, "")} {
		k, _ := testLink(slices.Concat(welcome(4000, 5), answer), 100)
		must(t, send(k, lone(opExists, "/a", func(_ error, body []byte) error { _, err := decodeStat(body); return err })))
		if got, err := io.ReadAll(k); !errors.Is(err, errForeign) || !errors.Is(k.cause, errForeign) || len(got) > len(welcome(4000, 5)) {
			t.Errorf("%x: %v and %v after %d bytes", answer, err, k.cause, len(got))
		}
	}
}

func TestLinkTakesPingsForProofInTheirOrder(t *testing.T) {
	sent := welcome(4000, 5)
	for range 3 {
		sent = append(sent, reply(xidPing, 0, "")...)
	}
	k, _ := testLink(sent, 100)
	k.out.greeted = true
	k.window.pings = []time.Duration{1, 2}
	b := make([]byte, len(welcome(4000, 5)))
	if _, err := io.ReadFull(k, b); err != nil {
		t.Fatal(err)
	}
	b = b[:4+replyHeader]
	for _, want := range []int64{1, 2, 2} { // the third is an answer to nothing
		if _, err := io.ReadFull(k, b); err != nil || k.signs.heard.Load() != want {
			t.Errorf("%v, heard %d, want %d", err, k.signs.heard.Load(), want)
		}
	}
}

func TestSetWatchesFramesHoldEveryWatchOnce(t *testing.T) {
	w := newWatches()
	want := make(map[watchKey]bool)
	for _, kind := range []watchKind{dataWatch, childWatch, existWatch} {
		for i := range 3000 {
			key := watchKey{"/some/longer/path/so/that/several/are/needed/" + time.Duration(i).String(), kind}
			if w.placed(key); i%2 == 0 {
				want[key] = true
			} else {
				w.gone(key)
			}
		}
	}
	frames := w.setWatches(42)
	got := make(map[watchKey]bool)
	for _, f := range frames {
		if len(f) > setWatchesLimit+64 || int(be.Uint32(f)) != len(f)-4 || be.Uint64(f[12:]) != 42 {
			t.Errorf("a frame of %d bytes, %d as it says, at zxid %d", len(f), be.Uint32(f), be.Uint64(f[12:]))
		}
		f = f[20:]
		for _, kind := range []watchKind{dataWatch, existWatch, childWatch} {
			n := be.Uint32(f)
			f = f[4:]
			for range n {
				size := be.Uint32(f)
				key := watchKey{string(f[4 : 4+size]), kind}
				if got[key] {
					t.Errorf("%v twice", key)
				}
				got[key] = true
				f = f[4+size:]
			}
		}
		if len(f) > 0 {
			t.Errorf("%d bytes too many", len(f))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(frames) < 2 {
		t.Errorf("%d frames:\n%s", len(frames), diff)
	}
	if got := newWatches().setWatches(1); len(got) != 0 {
		t.Errorf("%d frames for no watch", len(got))
	}
}

// withoutOwn leaves the answers to the library's own requests out of what was sent.
func withoutOwn(sent []byte) (theirs []byte) {
	for first := true; len(sent) >= 4; first = false {
		size := int64(4) + int64(be.Uint32(sent))
		frame := sent[:min(size, int64(len(sent)))]
		sent = sent[len(frame):]
		if first || len(frame) < 8 || i32(frame[4:]) > xidOwn {
			theirs = append(theirs, frame...)
		}
	}
	return append(theirs, sent...)
}

// FuzzLinkReads: whatever a server sends, go-zookeeper gets whole frames of it, a prefix of what was sent but for the answers to the library's
// own requests; none of them is over the limit.
func FuzzLinkReads(f *testing.F) {
	f.Add(slices.Concat(welcome(4000, 5), reply(1, 0, "hello"), reply(xidAuth, 0, "")), byte(8))
	f.Add([]byte("HTTP/1.1 400 Bad Request"), byte(1))
	f.Add(slices.Concat(welcome(4000, 0)), byte(3))
	f.Add(slices.Concat(welcome(4000, 5), reply(xidOwn, 0, "its body"), reply(1, 0, ""), reply(xidOwn-1, -101, "")), byte(5))
	node := func(body string) string {
		return string(be.AppendUint32([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}, uint32(len(body)))) + body + string(make([]byte, statSize))
	}
	refused := string(be.AppendUint32(be.AppendUint32([]byte{255, 255, 255, 255, 0}, ^uint32(100)), ^uint32(100)))
	end := string([]byte{255, 255, 255, 255, 1, 255, 255, 255, 255})
	before := slices.Concat(welcome(4000, 5), reply(xidOwn, -101, ""), reply(xidOwn-1, -101, ""), reply(xidOwn-2, 0, "\x00\x00\x00\x00"))
	for _, parts := range []string{node("a") + refused + refused + end, refused + refused + refused + end, node("a") + end, node("a"), refused + node("b"), end} {
		f.Add(slices.Concat(before, reply(xidOwn-3, 0, parts), event(3, "/an/event"), reply(1, 0, "")), byte(7))
	}
	f.Add(slices.Concat(welcome(4000, 5), reply(xidOwn-2, codeUnknown, "")), byte(7))
	f.Add(slices.Concat(welcome(4000, 5), reply(xidEvent, 0, "cut")), byte(7))
	f.Add(slices.Concat(welcome(4000, 5), reply(xidEvent, 0, "\x00\x00\x00\x03\x00\x00\x00\x03\x7f\xff\xff\xff/a")), byte(7))
	f.Fuzz(func(t *testing.T, sent []byte, step byte) {
		k, _ := testLink(sent, 200)
		expects(k, 1)
		answered := 0
		must(t, send(k, &exchange{op: opGetData, n: 2, path: func(int) string { return "" }, watch: true, done: make(chan struct{}), take: func(_ int, refusal error, body []byte) error {
			var err error
			if answered++; refusal == nil {
				_, _, err = decodeData(body)
			}
			return err
		}}))
		k.window.extend(Extension{Lasting: true, Batches: true})
		must(t, send(k, &exchange{op: opGetData, ahead: []int32{opAddWatch}, n: 4, path: func(i int) string { return string(rune('a' + i)) }, done: make(chan struct{}), take: func(i int, refusal error, body []byte) error {
			var err error
			if answered++; refusal == nil && i > 0 {
				_, _, err = decodeData(body)
			}
			return err
		}}))
		b := make([]byte, int(step)+1)
		var got []byte
		for {
			n, err := k.Read(b)
			got = append(got, b[:n]...)
			if err != nil {
				break
			}
			if n == 0 {
				t.Fatal("neither data nor an error")
			}
		}
		if theirs := withoutOwn(sent); !bytes.HasPrefix(theirs, got) {
			t.Fatalf("%x is no prefix of %x", got, theirs)
		}
		first := true
		for rest := got; len(rest) >= 4; first = false {
			size := int(int32(be.Uint32(rest)))
			if first && (size < shortestWelcome || size > longestWelcome) || !first && (size < replyHeader || size > 200) {
				t.Fatalf("a frame of %d bytes was handed out", size)
			}
			rest = rest[min(4+size, len(rest)):]
		}
		if !isDone(k) || k.cause == nil {
			t.Fatal("not ended")
		}
		if answered > 2+4 || k.window.outstanding() > 1 || len(k.in.large) > 4+200 {
			t.Fatalf("%d answers to six requests, %d watches that stay, room for %d bytes", answered, k.window.outstanding(), len(k.in.large))
		}
		if len(got) > 0 && (!k.established() || k.sessionTimeout() <= 0) {
			t.Fatal("handed out without a session")
		}
	})
}
