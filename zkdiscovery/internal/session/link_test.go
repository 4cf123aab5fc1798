package session

import (
	"bytes"
	"context"
	"errors"
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
	return newLink(newLine(s), c, target{}, time.Now().Add(time.Hour)), c
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

func read(op int32, xid int32, path string) []byte {
	return sealed(append(appendString(newFrame(xid, op), path), 0))
}

func TestLinkHandsOutWhatItWasSentAndNothingElse(t *testing.T) {
	sent := slices.Concat(welcome(4000, 5), reply(1, 0, "hello"), reply(xidPing, 0, ""), reply(-1, 0, "an event"), reply(2, -101, ""))
	for _, size := range []int{1, 3, 7, 1000} {
		k, _ := testLink(sent, 100)
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

func TestLinkNotesWatchesBeforeTheAnswerIsRead(t *testing.T) {
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
		k, c := testLink(slices.Concat(welcome(4000, 5), reply(9, tc.code, "abc")), 100)
		key := watchKey{"/a/b", tc.kind}
		w := k.line.watches
		k.greeted = true
		if !w.want(key) {
			t.Fatal("not wanted")
		}
		plain := read(tc.op, 9, "/a/b")
		flagged := append(bytes.Clone(plain[:len(plain)-1]), 1)
		given := bytes.Clone(plain)
		if _, err := k.Write(plain); err != nil || !bytes.Equal(c.out.Bytes(), flagged) || !bytes.Equal(plain, given) {
			t.Errorf("%+v: sent %x, %v", tc, c.out.Bytes(), err)
		}
		b := make([]byte, 1)
		for range len(welcome(4000, 5)) + 1 { // the first byte of the answer
			if _, err := k.Read(b); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.outstanding() == 1; got != tc.noted {
			t.Errorf("%+v: noted %v", tc, got)
		}
		w.unwant(key)
		if len(w.m) != w.outstanding() {
			t.Errorf("%+v: %v is left over", tc, w.m)
		}
	}
}

func TestLinkFlagsReadsOnlyAndOnlyWhereAWatchIsWanted(t *testing.T) {
	k, c := testLink(nil, 100)
	k.greeted = true
	key := watchKey{"/a", dataWatch}
	k.line.watches.want(key)
	for _, f := range [][]byte{
		read(opGetData, 1, "/b"), read(opChildren2, 2, "/a"), read(opExists, 3, "/a"), read(5 /* setData */, 4, "/a"),
		sealed(appendString(newFrame(5, opGetData), "/a")), newFrame(6, opClose), sealed(newFrame(xidPing, 11)),
		{0, 0, 0, 0},
		{},
	} {
		c.out.Reset()
		if _, err := k.Write(f); err != nil || !bytes.Equal(c.out.Bytes(), f) {
			t.Errorf("%x became %x, %v", f, c.out.Bytes(), err)
		}
	}
	k.line.watches.placed(key)
	c.out.Reset()
	if f := read(opGetData, 7, "/a"); true {
		if _, err := k.Write(f); err != nil || !bytes.Equal(c.out.Bytes(), f) {
			t.Error("a watch that is outstanding was asked for again")
		}
	}
}

func TestLinkTakesPingsForProofInTheirOrder(t *testing.T) {
	sent := welcome(4000, 5)
	for range 3 {
		sent = append(sent, reply(xidPing, 0, "")...)
	}
	k, _ := testLink(sent, 100)
	k.greeted = true
	k.pings = []time.Duration{1, 2}
	b := make([]byte, len(welcome(4000, 5)))
	if _, err := io.ReadFull(k, b); err != nil {
		t.Fatal(err)
	}
	b = b[:4+replyHeader]
	for _, want := range []int64{1, 2, 2} { // the third is an answer to nothing
		if _, err := io.ReadFull(k, b); err != nil || k.heard.Load() != want {
			t.Errorf("%v, heard %d, want %d", err, k.heard.Load(), want)
		}
	}
}

func TestSetWatchesFramesHoldEveryWatchOnce(t *testing.T) {
	w := newWatches()
	want := make(map[watchKey]bool)
	for _, kind := range []watchKind{dataWatch, childWatch, existWatch} {
		for i := range 3000 {
			key := watchKey{"/some/longer/path/so/that/several/are/needed/" + time.Duration(i).String(), kind}
			if want[key] = true; i%2 == 0 {
				w.placed(key)
			} else {
				w.want(key) // is not outstanding
				delete(want, key)
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

// FuzzLinkReads: whatever a server sends, go-zookeeper gets whole frames of it, a prefix of what was sent, none of which is over the limit.
func FuzzLinkReads(f *testing.F) {
	f.Add(slices.Concat(welcome(4000, 5), reply(1, 0, "hello"), reply(xidAuth, 0, "")), byte(8))
	f.Add([]byte("HTTP/1.1 400 Bad Request"), byte(1))
	f.Add(slices.Concat(welcome(4000, 0)), byte(3))
	f.Fuzz(func(t *testing.T, sent []byte, step byte) {
		k, _ := testLink(sent, 200)
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
		if !bytes.HasPrefix(sent, got) {
			t.Fatalf("%x is no prefix of %x", got, sent)
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
		if len(got) > 0 && (!k.established() || k.sessionTimeout() <= 0) {
			t.Fatal("handed out without a session")
		}
	})
}
