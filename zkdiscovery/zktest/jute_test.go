package zktest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var everyRequest = []request{
	{kind: OpPing},
	{kind: OpClose},
	{kind: OpWhoAmI},
	{kind: OpCreate, path: "/a", data: []byte("x"), acl: openACL(), flags: 3},
	{kind: OpCreate2, path: "/a", data: []byte{}, acl: []ACL{{1, "digest", "a:b"}, {31, "", ""}}, flags: -1},
	{kind: OpCreateContainer, path: "/a", flags: 4},
	{kind: OpCreateTTL, path: "/ä…", flags: 5},
	{kind: OpDelete, path: "/a", version: -1},
	{kind: OpCheck, path: "/a", version: 3},
	{kind: OpSetData, path: "/a", version: 3},
	{kind: OpExists, path: "/a", watch: true},
	{kind: OpGetData, path: "", watch: false},
	{kind: OpGetChildren, path: "/a", watch: true},
	{kind: OpGetChildren2, path: "/a", watch: true},
	{kind: OpGetACL, path: "/a"},
	{kind: OpSync, path: "/a"},
	{kind: OpRemoveWatches, path: "/a", version: 3},
	{kind: OpSetACL, path: "/a", acl: openACL(), version: 2},
	{kind: OpMulti},
	{kind: OpMulti, parts: []request{
		{kind: OpCreate, path: "/a", data: []byte("x"), acl: openACL(), flags: 1},
		{kind: OpDelete, path: "/b", version: 1},
		{kind: OpSetData, path: "/c", data: []byte("y"), version: 2},
		{kind: OpCheck, path: "/d", version: 3},
		{kind: OpCreateContainer, path: "/e", acl: openACL(), flags: 4},
	}},
	{kind: OpAuth, scheme: "digest", data: []byte("ann:secret")},
	{kind: OpSetWatches, watches: watchesLost{zxid: 1 << 40, data: []string{"/a", "/b"}, exist: []string{"/c"}, child: []string{"/d"}}},
	{kind: OpSetWatches2, watches: watchesLost{zxid: 1, data: []string{"/a"}, persistent: []string{"/b"}, recursive: []string{"/c", "/d"}}},
	{kind: OpAddWatch, path: "/a", version: 1},
	{kind: OpMultiRead, parts: []request{{kind: OpGetData, path: "/a", watch: true}, {kind: OpGetChildren, path: "/b"}}},
}

func TestEveryRequestIsReadAsItWasWritten(t *testing.T) {
	for i := range everyRequest {
		r := everyRequest[i]
		got, err := decodeRequest(r.kind, r.encode())
		if err != nil {
			t.Errorf("%v %v: %v", r.kind, &r, err)
		}
		if diff := cmp.Diff(r, got, cmp.AllowUnexported(request{}, watchesLost{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%v: wrote (-), read (+):\n%s", r.kind, diff)
		}
		if (r.data == nil) != (got.data == nil) {
			t.Errorf("%v: null and empty data are not the same", r.kind)
		}
	}
}

func TestEveryShortenedRequestIsMalformed(t *testing.T) {
	for i := range everyRequest {
		r := everyRequest[i]
		whole := r.encode()
		for n := range whole {
			if _, err := decodeRequest(r.kind, whole[:n]); !errors.Is(err, errMalformed) {
				t.Errorf("%v cut to %d of %d bytes: %v", r.kind, n, len(whole), err)
			}
		}
	}
}

func TestLengthsThatLieAllocateNothing(t *testing.T) {
	huge := binary.BigEndian.AppendUint32(nil, 1<<31-1)
	for name, read := range map[string]func(*decoder){
		"buffer":  func(d *decoder) { d.buffer() },
		"string":  func(d *decoder) { _ = d.string() },
		"strings": func(d *decoder) { d.strings() },
		"acls":    func(d *decoder) { d.acls() },
	} {
		d := &decoder{b: slices.Clone(huge)}
		allocs := testing.AllocsPerRun(10, func() {
			*d = decoder{b: huge}
			read(d)
		})
		if d.err == nil || allocs > 1 {
			t.Errorf("%s: error %v, %v allocations", name, d.err, allocs)
		}
	}
}

func TestNullPathIsMalformed(t *testing.T) {
	r := request{kind: OpDelete, path: "", version: 1}
	b := r.encode()
	binary.BigEndian.PutUint32(b, 1<<32-1)
	if _, err := decodeRequest(OpDelete, b); !errors.Is(err, errMalformed) {
		t.Error(err)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for i := range everyRequest {
		f.Add(int32(everyRequest[i].kind), everyRequest[i].encode())
	}
	f.Fuzz(func(t *testing.T, kind int32, b []byte) {
		kept := bytes.Clone(b)
		r, err := decodeRequest(Op(kind), b)
		if !bytes.Equal(kept, b) {
			t.Error("decoding changes what it reads")
		}
		if err != nil || slices.ContainsFunc(r.parts, func(p request) bool { return p.kind == opMiscast }) {
			return
		}
		// What could be read can be written and read again, and is the same then.
		again, err := decodeRequest(r.kind, r.encode())
		if err != nil {
			t.Fatalf("%v: %v", r.kind, err)
		}
		if diff := cmp.Diff(r, again, cmp.AllowUnexported(request{}, watchesLost{}), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzServer lets a client send whatever it likes. The server must go on serving another one, with a tree that makes sense.
func FuzzServer(f *testing.F) {
	connect := &encoder{}
	connect.int32(0)
	connect.int64(0)
	connect.int32(10000)
	connect.int64(0)
	connect.buffer(make([]byte, passwordSize))
	frame := func(body []byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	all := frame(connect.b)
	for i := range everyRequest {
		e := &encoder{}
		e.int32(int32(i))
		e.int32(int32(everyRequest[i].kind))
		e.request(&everyRequest[i])
		one := frame(e.b)
		f.Add(append(frame(connect.b), one...))
		all = append(all, one...)
	}
	f.Add(all)
	f.Add([]byte("ruok"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := NewServer()
		defer s.Close()
		nc, err := s.Dial(context.Background(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, nc)
		}()
		_, _ = nc.Write(b)
		_ = nc.Close()
		<-read
		other, err := s.Dial(context.Background(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		w := newWire(t, other)
		if err := w.handshake(connectRequest{timeoutMs: 10000}); err != nil {
			t.Fatal(err)
		}
		w.must(t, &request{kind: OpGetChildren2, path: "/"})
		checkTree(t, s)
	})
}

// checkTree is what has to be true of every tree.
func checkTree(t *testing.T, s *Server) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	tr := s.state.tree
	seen := 0
	for path, n := range tr.nodes {
		if path == "" {
			continue
		}
		seen += n.children.len()
		if n.ephemeral() {
			if _, ok := tr.ephemerals[n.owner][path]; !ok || s.state.sessions[n.owner] == nil || n.children.len() > 0 {
				t.Errorf("%s: an ephemeral of session %#x", path, n.owner)
			}
		}
		for i, name := range n.children.order {
			child := orRoot(path)
			if child != "/" {
				child += "/"
			}
			if tr.nodes[child+name] == nil || n.children.at[name] != i {
				t.Errorf("%s has a child %q that is not there", path, name)
			}
		}
		if n.czxid > tr.zxid || n.mzxid > tr.zxid || n.pzxid > tr.zxid || n.pzxid < n.czxid {
			t.Errorf("%s: %+v after zxid %d", path, n.stat(), tr.zxid)
		}
	}
	if seen != len(tr.nodes)-2 { // all but the root, which is there twice
		t.Errorf("%d children of %d nodes", seen, len(tr.nodes)-1)
	}
}
