package zktest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What random requests do not reach: each of these conversations is held with a new real server and with a new one of ours, and has to read
// the same.
func TestConversationsAreThoseWithARealServer(t *testing.T) {
	for _, c := range []struct {
		name string
		talk func(*transcript)
	}{
		{"a new tree", talkNewTree},
		{"requests behind the handshake", talkBehindHandshake},
		{"frames of every length", talkLengths},
		{"requests that no client makes", talkOdd},
		{"an expiry", talkExpiry},
		{"a busy session", talkHeartbeat},
		{"who is asked", talkWho},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := []Option{WithTick(100 * time.Millisecond), WithSessionTimeouts(500*time.Millisecond, time.Minute)}
			real := StartEnsemble(t, 1, opts...)
			s := Start(t, append(opts, WithVersion(versionOf(t, real)))...)
			var lines [2][]string
			for i, addr := range []string{real.Servers()[0], s.Addr()} {
				tr := &transcript{T: t, printer: printer{owners: make(map[int64]int), started: time.Now()}, addr: addr}
				c.talk(tr)
				lines[i] = tr.lines
			}
			if diff := cmp.Diff(lines[0], lines[1]); diff != "" {
				t.Errorf("real (-) and ours (+) differ\n%s", diff)
			}
			t.Log(strings.Join(lines[0], "\n"))
		})
	}
}

type transcript struct {
	*testing.T
	printer
	addr  string
	lines []string
}

func (tr *transcript) note(format string, args ...any) {
	tr.lines = append(tr.lines, fmt.Sprintf(format, args...))
}

func (tr *transcript) open(timeout time.Duration) *wire {
	tr.Helper()
	w := dialWire(tr, tr.addr)
	if err := w.handshake(connectRequest{timeoutMs: int32(timeout.Milliseconds())}); err != nil {
		tr.Fatal(err)
	}
	tr.owners[w.session] = len(tr.owners)
	return w
}

func (tr *transcript) ask(w *wire, r *request) {
	tr.Helper()
	list, err := w.call(r.kind, r.encode())
	for _, a := range list {
		tr.note("%v %s: %s", r.kind, r.path, tr.answer(r.kind, a))
	}
	if err != nil {
		tr.note("%v %s: connection ended", r.kind, r.path)
	}
}

func talkNewTree(tr *transcript) {
	w := tr.open(10 * time.Second)
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", ""} {
		for _, kind := range []Op{OpExists, OpGetData, OpGetChildren2, OpGetACL, OpDelete} {
			tr.ask(w, &request{kind: kind, path: path, version: -1})
		}
	}
	tr.ask(w, &request{kind: OpCreate2, path: "/first", acl: openACL()})
}

func talkBehindHandshake(tr *transcript) {
	setup := tr.open(10 * time.Second)
	id, _ := authenticate(schemeDigest, []byte("ann:secret"), remoteIP(setup.nc))
	tr.ask(setup, &request{kind: OpCreate, path: "/mine", data: []byte("x"), acl: []ACL{{permAll, schemeDigest, id.id}}})
	tr.ask(setup, &request{kind: OpGetData, path: "/mine"})

	all := framed(handshake(connectRequest{timeoutMs: 10000}))
	for i, r := range []request{
		{kind: OpAuth, scheme: schemeDigest, data: []byte("bob:word")},
		{kind: OpAuth, scheme: schemeDigest, data: []byte("ann:secret")},
		{kind: OpGetData, path: "/mine"},
		{kind: OpPing},
	} {
		f := &encoder{}
		f.int32([]int32{-4, -4, 1, xidPing}[i])
		f.int32(int32(r.kind))
		f.request(&r)
		all = append(all, framed(f.b)...)
	}
	w := dialWire(tr, tr.addr)
	if _, err := w.nc.Write(all); err != nil {
		tr.Fatal(err)
	}
	if frame, err := w.frame(); err != nil {
		tr.Fatal(err)
	} else {
		tr.note("connect reply of %d bytes", len(frame))
	}
	for i := range 4 {
		a, err := w.answer()
		if err != nil {
			tr.Fatal(err)
		}
		tr.note("%s", tr.answer([]Op{OpAuth, OpAuth, OpGetData, OpPing}[i], a))
	}
}

func talkLengths(tr *transcript) {
	for _, n := range []int32{-1, -2147483648, 2147483647, 0xfffff + 1, 0x72756f6b + 1, 0, 7, 40} {
		w := dialWire(tr, tr.addr)
		_, _ = w.nc.Write(append(binary.BigEndian.AppendUint32(nil, uint32(n)), make([]byte, min(max(n, 0), 64))...))
		_, err := w.eof()
		tr.note("first frame of %d bytes: closed %v", n, err == nil)
	}
	for _, n := range []int{0, 3, 7, 0xfffff + 1} {
		w := tr.open(10 * time.Second)
		_ = w.send(make([]byte, n))
		list, err := w.eof()
		tr.note("request of %d bytes: %d answers, closed %v", n, len(list), err == nil)
	}
	w := tr.open(10 * time.Second)
	r := request{kind: OpCreate, path: "/large", acl: openACL()}
	r.data = make([]byte, 0xfffff-8-len(r.encode()))
	tr.ask(w, &r)
	tr.ask(w, &request{kind: OpExists, path: "/large"})
	r.data = append(r.data, 0)
	tr.ask(w, &r)
}

func talkExpiry(tr *transcript) {
	tr.base = 1
	watcher := tr.open(time.Minute)
	dying := tr.open(500 * time.Millisecond)
	tr.ask(watcher, &request{kind: OpCreate, path: "/dir", acl: openACL()})
	tr.ask(dying, &request{kind: OpCreate, path: "/dir/a", acl: openACL(), flags: 1})
	tr.ask(dying, &request{kind: OpCreate, path: "/b", acl: openACL(), flags: 1})
	tr.ask(watcher, &request{kind: OpGetData, path: "/dir/a", watch: true})
	tr.ask(watcher, &request{kind: OpGetChildren2, path: "/dir", watch: true})
	list, err := dying.eof()
	tr.note("the dying client is told %d things, closed %v", len(list), err == nil)
	tr.ask(watcher, &request{kind: OpGetChildren2, path: "/dir"})
	tr.ask(watcher, &request{kind: OpExists, path: "/b"})
	late := dialWire(tr, tr.addr)
	if err := late.handshake(connectRequest{session: dying.session, password: dying.password, timeoutMs: 500, lastZxid: dying.zxid}); err != nil {
		tr.Fatal(err)
	}
	list, err = late.eof()
	tr.note("coming back: session %d, timeout %d, password %x, %d answers, closed %v", late.session, late.timeout, late.password, len(list), err == nil)
	tr.ask(watcher, &request{kind: OpSync, path: "/"})
}

// talkHeartbeat keeps two sessions alive beyond their timeout, one by pings and one by requests.
func talkHeartbeat(tr *transcript) {
	pinging, asking := tr.open(time.Second), tr.open(time.Second)
	tr.ask(pinging, &request{kind: OpCreate, path: "/pinging", acl: openACL(), flags: 1})
	tr.ask(asking, &request{kind: OpCreate, path: "/asking", acl: openACL(), flags: 1})
	for range 30 {
		time.Sleep(50 * time.Millisecond) // half a timeout again, in all
		if err := pinging.postAs(xidPing, OpPing, nil); err != nil {
			tr.Fatal(err)
		}
		if a, err := pinging.answer(); err != nil || a.xid != xidPing {
			tr.Fatal(a, err)
		}
		asking.must(tr, &request{kind: OpExists, path: "/"})
	}
	tr.ask(asking, &request{kind: OpExists, path: "/pinging"})
	tr.ask(pinging, &request{kind: OpExists, path: "/asking"})
}

// talkWho asks as whom the server has the client: before and behind credentials, good and bad ones.
func talkWho(tr *transcript) {
	w := tr.open(10 * time.Second)
	tr.ask(w, &request{kind: OpWhoAmI})
	if strings.Contains(tr.lines[len(tr.lines)-1], fmt.Sprintf("code %d:", CodeUnimplemented)) { // before 3.7
		w.mustEnd(tr.T) // a moment later: a real server may still answer what comes within it
		return
	}
	for _, credentials := range []string{"ann:secret", "ann:secret", "bob:other:word", "nobody"} {
		tr.ask(w, &request{kind: OpAuth, scheme: schemeDigest, data: []byte(credentials)})
		tr.ask(w, &request{kind: OpWhoAmI})
	}
	tr.ask(w, &request{kind: OpAuth, scheme: "none", data: []byte("x")})
}

// talkOdd sends records that are whole, but not as they should be, each in a session of its own.
func talkOdd(tr *transcript) {
	setup := tr.open(10 * time.Second)
	tr.ask(setup, &request{kind: OpCreate, path: "/odd", data: []byte("x"), acl: openACL()})
	null := []byte{0xff, 0xff, 0xff, 0xff}
	negative := []byte{0xff, 0xff, 0xff, 0xfe}
	multi := func(parts ...request) []byte { return (&request{kind: OpMulti, parts: parts}).encode() }
	set := request{kind: OpSetData, path: "/odd", data: []byte("y"), version: -1}
	for _, odd := range []struct {
		name string
		kind Op
		body []byte
	}{
		{"more than the record", OpExists, append(exists("/odd").encode(), 1, 2, 3)},
		{"a boolean of 2", OpExists, append((&encoder{}).path("/odd"), 2)},
		{"exists null", OpExists, append(slices.Clone(null), 0)},
		{"getChildren2 null", OpGetChildren2, append(slices.Clone(null), 0)},
		{"sync null", OpSync, null},
		{"delete null", OpDelete, append(slices.Clone(null), null...)},
		{"set null", OpSetData, slices.Concat(null, null, null)},
		{"setACL null", OpSetACL, slices.Concat(null, (&request{kind: OpSetACL, acl: openACL()}).encode()[4:])},
		{"check null", OpCheck, append(slices.Clone(null), null...)},
		{"getACL null", OpGetACL, null},
		{"create null", OpCreate, slices.Concat(null, null, null, []byte{0, 0, 0, 0})},
		{"a path of negative length", OpExists, append(slices.Clone(negative), 0)},
		{"a path longer than the frame", OpExists, []byte{0, 0, 1, 0, '/', 0}},
		{"null ACL", OpCreate, slices.Concat((&encoder{}).path("/null-acl"), null, null, []byte{0, 0, 0, 0})},
		{"an ACL of negative length", OpCreate, slices.Concat((&encoder{}).path("/negative-acl"), null, negative, []byte{0, 0, 0, 0})},
		{"an empty multi", OpMulti, multi()},
		{"a multi without its end", OpMulti, multi(set)[:len(multi(set))-9]},
		{"a multi that reads", OpMulti, multi(request{kind: OpGetData, path: "/odd"})},
		{"a multi that writes and reads", OpMulti, multi(set, request{kind: OpGetData, path: "/odd"})},
		{"a multi with a setACL", OpMulti, multi(set, request{kind: OpSetACL, path: "/odd", acl: openACL(), version: -1})},
		{"a multi with a sync", OpMulti, multi(set, request{kind: OpSync, path: "/odd"})},
		{"a multi in a multi", OpMulti, multi(set, request{kind: OpMulti, parts: []request{set}})},
		{"a multi with an operation that is none", OpMulti, multi(set, request{kind: 17000})},
		{"setWatches of null lists", OpSetWatches, slices.Concat(make([]byte, 8), null, null, null)},
		{"setWatches of a null path", OpSetWatches, slices.Concat(make([]byte, 8), []byte{0, 0, 0, 1}, null, null, null)},
		{"setWatches of lists of negative length", OpSetWatches, slices.Concat(make([]byte, 8), negative, negative, negative)},
		{"setWatches2 of null lists", OpSetWatches2, slices.Concat((&request{kind: OpSetWatches}).encode(), null, null)},
		{"auth as an address with null data", OpAuth, slices.Concat(make([]byte, 4), (&encoder{}).path("ip"), null)},
		{"auth with null data", OpAuth, slices.Concat(make([]byte, 4), (&encoder{}).path("digest"), null)},
		{"auth with a null scheme", OpAuth, slices.Concat(make([]byte, 4), null, null)},
		{"close with a record", OpClose, []byte("bye")},
	} {
		w := tr.open(10 * time.Second)
		list, err := w.call(odd.kind, odd.body)
		for _, a := range list {
			tr.note("%s: %s", odd.name, tr.answer(odd.kind, a))
		}
		if err != nil {
			tr.note("%s: connection ended", odd.name)
		}
	}
	tr.ask(setup, exists("/odd"))
	tr.ask(setup, &request{kind: OpGetChildren2, path: "/"})
}

// path is a string record.
func (e *encoder) path(p string) []byte {
	e.string(p)
	return e.b
}
