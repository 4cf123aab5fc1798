package zktest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The in-process server is only worth what it has in common with the real one. Here both are sent the same random requests, step by step,
// by several clients that share a few paths, and everything each of them answers has to be the same: codes, stats, zxids relative to the
// run's first, sequence numbers, and notifications with their places between the replies. When a run fails it prints its seed, which
// HOLDFAST_SEED repeats.

func TestAnswersAreThoseOfARealServer(t *testing.T) {
	timeouts := WithSessionTimeouts(20*time.Second, time.Minute)
	real := StartEnsemble(t, 1, timeouts)
	s := NewServer(timeouts)
	defer s.Close()
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	if v := os.Getenv("HOLDFAST_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	runs := 30
	if testing.Short() {
		runs = 5
	}
	for i := range runs {
		c := newComparison(t, seed+uint64(i), real.Servers()[0], s.Addr())
		for range 400 {
			c.step()
		}
		c.end()
	}
}

// side is one of the two servers as a comparison sees it.
type side struct {
	printer
	name    string
	addr    string
	clients []*wire
	old     []connectRequest // sessions that were, for taking them up again
}

type comparison struct {
	t       *testing.T
	seed    uint64
	rnd     *rand.Rand
	root    string
	sides   [2]*side
	clients int
	paths   []string
	history []string
	sorted  bool // compare what is shown without its order
}

const comparedClients = 3

func newComparison(t *testing.T, seed uint64, addrs ...string) *comparison {
	t.Helper()
	c := &comparison{
		t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)),
		root: fmt.Sprintf("/run-%d", seed),
	}
	for _, p := range []string{"", "/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/z"} {
		c.paths = append(c.paths, c.root+p)
	}
	for i, addr := range addrs {
		sd := &side{name: []string{"real", "ours"}[i], addr: addr}
		sd.owners, sd.started = make(map[int64]int), time.Now()
		c.sides[i] = sd
	}
	for i := range comparedClients {
		for _, sd := range c.sides {
			sd.clients = append(sd.clients, nil)
			c.open(sd, i)
		}
		c.clients++
	}
	for _, sd := range c.sides {
		r := &request{kind: OpCreate2, path: c.root, acl: openACL()}
		a := sd.clients[0].must(t, r)
		d := decoder{b: a.body}
		d.string()
		st := d.stat()
		sd.base = st.Czxid
	}
	return c
}

func (c *comparison) open(sd *side, i int) {
	c.t.Helper()
	w := openWire(c.t, sd.addr)
	sd.owners[w.session] = len(sd.owners)
	sd.clients[i] = w
}

// fail prints what has led here.
func (c *comparison) fail(format string, args ...any) {
	c.t.Helper()
	last := c.history[max(0, len(c.history)-25):]
	c.t.Fatalf("seed %d, step %d: %s\nlast steps:\n%s", c.seed, len(c.history), fmt.Sprintf(format, args...), strings.Join(last, "\n"))
}

// same compares what the two servers have shown in a step.
func (c *comparison) same(shown [2][]string) {
	c.t.Helper()
	if c.sorted {
		slices.Sort(shown[0])
		slices.Sort(shown[1])
	}
	if diff := cmp.Diff(shown[0], shown[1]); diff != "" {
		c.fail("real (-) and ours (+) differ\n%s", diff)
	}
	c.history = append(c.history, "\t"+strings.Join(shown[0], "\n\t"))
}

// ask sends one request to both and compares everything up to the replies.
func (c *comparison) ask(client int, kind Op, body func(*side) []byte, what string) (replies [2]answer) {
	c.t.Helper()
	c.history = append(c.history, fmt.Sprintf("%d: client %d %v %s", len(c.history), client, kind, what))
	var shown [2][]string
	for i, sd := range c.sides {
		list, err := sd.clients[client].call(kind, body(sd))
		for _, a := range list {
			shown[i] = append(shown[i], sd.answer(kind, a))
		}
		if err != nil {
			shown[i] = append(shown[i], "connection ended")
		} else {
			replies[i] = list[len(list)-1]
		}
	}
	c.same(shown)
	return replies
}

func (c *comparison) request(client int, r *request) [2]answer {
	c.t.Helper()
	body := r.encode()
	return c.ask(client, r.kind, func(*side) []byte { return body }, r.String())
}

// end lets every client show what it has not been shown yet.
func (c *comparison) end() {
	c.t.Helper()
	for i := range c.clients {
		c.request(i, &request{kind: OpGetChildren2, path: c.root})
	}
	for i := range c.clients {
		c.close(i)
	}
	for _, sd := range c.sides {
		for _, w := range sd.clients {
			_ = w.nc.Close()
		}
	}
}

// close closes a client's session. What belonged to it is deleted in the order of a hash table by ZooKeeper and in that of the paths by us,
// so the order in which anybody hears of it does not count.
func (c *comparison) close(client int) {
	c.t.Helper()
	others := func() {
		for i := range c.clients {
			if i != client && c.sides[0].clients[i].session != 0 {
				c.request(i, &request{kind: OpSync, path: "/"})
			}
		}
	}
	others()
	c.sorted = true
	c.request(client, &request{kind: OpClose})
	c.ended(client)
	for _, sd := range c.sides {
		sd.clients[client].session = 0
	}
	others()
	c.sorted = false
}

// ended reads what comes until both servers close a client's connection.
func (c *comparison) ended(client int) {
	c.t.Helper()
	var shown [2][]string
	for i, sd := range c.sides {
		list, err := sd.clients[client].eof()
		for _, a := range list {
			shown[i] = append(shown[i], sd.answer(OpPing, a))
		}
		if err != nil {
			shown[i] = append(shown[i], "connection not closed")
		}
		_ = sd.clients[client].nc.Close()
	}
	c.same(shown)
}

func pick[T any](rnd *rand.Rand, of ...T) T { return of[rnd.IntN(len(of))] }

func (c *comparison) path() string {
	if c.rnd.IntN(12) == 0 {
		return pick(c.rnd, "", "x", "x/y", "/", "//", c.root+"/", c.root+"//a", c.root+"/.", c.root+"/../a", c.root+"/a/./b", c.root+"/\x01",
			c.root+"/a\x00b", c.root+"/\u0085", c.root+"/\ufff5", c.root+"/ä…", c.root+"/a/x/z/w", c.root+"/...",
			"/zookeeper", "/zookeeper/quota", "/zookeeper/config", c.root+"/\xff")
	}
	return pick(c.rnd, c.paths...)
}

func (c *comparison) version() int32 { return pick[int32](c.rnd, -1, -1, -1, 0, 0, 1, 2, -2) }

func (c *comparison) data() []byte {
	return pick(c.rnd, nil, []byte{}, []byte("data"), []byte("other data"))
}

var comparedUsers = []string{"ann:secret", "bob:word", "nocolon", "a:b:c"}

func (c *comparison) acl() []ACL {
	n := 1
	if c.rnd.IntN(4) == 0 {
		n = c.rnd.IntN(4)
	}
	var list []ACL
	for range n {
		if c.rnd.IntN(3) > 0 {
			list = append(list, openACL()...)
			continue
		}
		id, _ := authenticate(schemeDigest, []byte(pick(c.rnd, comparedUsers...)), remoteIP(c.sides[0].clients[0].nc))
		list = append(list, ACL{
			Perms: pick[int32](c.rnd, permAll, permAll, permRead, permWrite, permCreate, permDelete, permAdmin, permRead|permWrite, 0, -1),
		})
		a := &list[len(list)-1]
		a.Scheme, a.ID = schemeWorld, "anyone"
		switch c.rnd.IntN(12) {
		case 0, 1, 2:
			a.Scheme, a.ID = schemeDigest, id.id
		case 3, 4:
			a.Scheme, a.ID = schemeAuth, pick(c.rnd, "", "ignored")
		case 5:
			a.Scheme, a.ID = schemeIP, pick(c.rnd, "127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "127.0.0.1/33", "10.1", "::1", "x", "127.0.0.1/", "", "::/0")
		case 6:
			a.Scheme, a.ID = pick(c.rnd, "", "sasl", "x509", "host", "super", "World"), "who"
		case 7:
			a.Scheme, a.ID = schemeDigest, pick(c.rnd, "", "user", "user:", ":hash", "a:b:c", "u:x", "u:x:", ":")
		case 8:
			a.ID = pick(c.rnd, "", "bob")
		default:
		}
	}
	return list
}

func (c *comparison) write(kind Op) request {
	r := request{kind: kind, path: c.path(), version: c.version()}
	if c.rnd.IntN(50) == 0 {
		r.path = c.root + "/\U0001F600" // only here: where the path comes back, ZooKeeper sends it in a UTF-8 of Java's own
	}
	switch kind {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		r.data, r.acl = c.data(), c.acl()
		r.flags = pick[int32](c.rnd, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, -1)
		if kind == OpCreateContainer {
			r.flags = pick[int32](c.rnd, 4, 4, 4, 0, 1, 2, 5)
		}
		if kind == OpCreateTTL {
			r.flags = pick[int32](c.rnd, 5, 6, 0, 1)
		}
		if r.flags == 2 || r.flags == 3 {
			r.path = pick(c.rnd, r.path, c.root+"/a/s-", c.root+"/b/")
		}
	case OpSetData:
		r.data = c.data()
	case OpSetACL:
		r.acl = c.acl()
	default:
	}
	return r
}

func (c *comparison) step() {
	c.t.Helper()
	client := c.rnd.IntN(c.clients)
	kind := pick(c.rnd, OpCreate, OpCreate, OpCreate2, OpCreate2, OpCreateContainer, OpDelete, OpDelete, OpDelete, OpSetData, OpSetData,
		OpExists, OpExists, OpGetData, OpGetData, OpGetChildren, OpGetChildren2, OpGetChildren2, OpGetACL, OpSetACL, OpSync,
		OpMulti, OpMulti, OpMulti, OpSetWatches, OpSetWatches2)
	switch c.rnd.IntN(60) {
	case 0:
		kind = OpAuth
	case 1:
		kind = OpCreateTTL
	case 2:
		kind = OpPing
	case 3:
		kind = OpClose
	case 4:
		c.reconnect(client)
		return
	case 5:
		c.damaged(client)
		return
	case 6:
		kind = OpCheck
	default:
	}
	r := request{kind: kind}
	switch kind {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL, OpDelete, OpSetData, OpSetACL, OpCheck:
		r = c.write(kind)
	case OpExists, OpGetData, OpGetChildren, OpGetChildren2, OpGetACL, OpSync:
		r.path, r.watch = c.path(), c.rnd.IntN(2) == 0
	case OpMulti:
		for range c.rnd.IntN(5) {
			r.parts = append(r.parts, c.write(pick(c.rnd, OpCreate, OpCreate, OpCreate2, OpCreateContainer, OpDelete, OpSetData, OpCheck)))
		}
	case OpAuth:
		r.scheme, r.data = schemeDigest, []byte(pick(c.rnd, comparedUsers...))
		if c.rnd.IntN(4) == 0 {
			r.scheme = pick(c.rnd, "world", "ip", "nonsense", "")
		}
	case OpSetWatches, OpSetWatches2:
		c.setWatches(client, kind)
		return
	default:
	}
	switch kind {
	case OpPing:
		c.ping(client)
		return
	case OpClose:
		c.close(client)
		c.reopen(client, true)
		return
	case OpCheck: // a real 3.8 never answers one by itself that succeeds
		r.version = 77
	default:
	}
	replies := c.request(client, &r)
	switch {
	case kind == OpAuth && replies[0].code != CodeOK:
		c.ended(client)
		c.reopen(client, false)
	case replies[0].code == CodeOK && (kind == OpCreate || kind == OpCreate2): // paths that come of sequences are shared from now on
		d := decoder{b: replies[0].body}
		if p := d.path(); strings.HasSuffix(p, "0") || len(c.paths) < 12 {
			if !slices.Contains(c.paths, p) && p != "/" {
				c.paths = append(c.paths, p)
			}
		}
	}
}

func (c *comparison) ping(client int) {
	c.t.Helper()
	c.history = append(c.history, fmt.Sprintf("client %d ping", client))
	var shown [2][]string
	for i, sd := range c.sides {
		w := sd.clients[client]
		if err := w.postAs(xidPing, OpPing, nil); err != nil {
			c.fail("%s: ping: %v", sd.name, err)
		}
		for {
			a, err := w.answer()
			if err != nil {
				c.fail("%s: ping: %v", sd.name, err)
			}
			shown[i] = append(shown[i], sd.answer(OpPing, a))
			if a.xid == xidPing {
				break
			}
		}
	}
	c.same(shown)
}

func (c *comparison) setWatches(client int, kind Op) {
	c.t.Helper()
	lists := make([][]string, 3)
	for i := range lists {
		for range c.rnd.IntN(4) {
			lists[i] = append(lists[i], c.path())
		}
	}
	back := pick[int64](c.rnd, 0, 0, 1, 2, 5, 1000)
	c.ask(client, kind, func(sd *side) []byte {
		r := request{kind: kind, watches: watchesLost{zxid: max(sd.clients[client].zxid-back, sd.base), data: lists[0], exist: lists[1], child: lists[2]}}
		return r.encode()
	}, fmt.Sprint(back, lists))
}

// reopen gives a client whose connection has ended a new one: with the session that it had, unless that has been closed. No session is
// left to expire, since its zxid would come at different times.
func (c *comparison) reopen(client int, closed bool) {
	c.t.Helper()
	for _, sd := range c.sides {
		if closed {
			c.open(sd, client)
		} else {
			c.takeUp(sd, client)
		}
	}
}

func (c *comparison) takeUp(sd *side, client int) {
	c.t.Helper()
	w := sd.clients[client]
	_ = w.nc.Close()
	n := dialWire(c.t, sd.addr)
	if err := n.handshake(connectRequest{lastZxid: w.zxid, session: w.session, password: w.password, timeoutMs: 10000}); err != nil || n.session != w.session {
		c.fail("%s: client %d lost its session: %v", sd.name, client, err)
	}
	n.xid, n.zxid = w.xid, w.zxid
	sd.clients[client] = n
}

// reconnect cuts a client's connection, or leaves it to the server to cut it, and takes the session up again on another: sometimes with a
// wrong password, sometimes with a session that never was.
func (c *comparison) reconnect(client int) {
	c.t.Helper()
	how := pick(c.rnd, "cut", "cut", "take over", "wrong password", "unknown session", "from the future")
	timeout := pick[int32](c.rnd, -5, 0, 100, 10000, 1<<30)
	flag := c.rnd.IntN(2) == 0
	c.history = append(c.history, fmt.Sprintf("%d: client %d reconnects: %s, timeout %d", len(c.history), client, how, timeout))
	var shown [2][]string
	for i, sd := range c.sides {
		w := sd.clients[client]
		r := connectRequest{lastZxid: w.zxid, session: w.session, password: w.password, timeoutMs: timeout, readOnly: flag}
		switch how {
		case "cut":
			_ = w.nc.Close()
		case "wrong password":
			r.password = []byte("0123456789abcdef")
		case "unknown session":
			r.session = 12345
		case "from the future":
			r.lastZxid = w.zxid + 1<<20
		}
		n := dialWire(c.t, sd.addr)
		err := n.handshake(r)
		switch {
		case err != nil:
			shown[i] = append(shown[i], "refused")
		case n.session != 0 && n.session != w.session:
			shown[i] = append(shown[i], "another session")
		default:
			shown[i] = append(shown[i], fmt.Sprintf("timeout %d, same session %v, password of %d", n.timeout, n.session == w.session, len(n.password)))
		}
		if how == "take over" || how == "wrong password" { // a notification may have been under way
			if _, err := w.eof(); err != nil {
				shown[i] = append(shown[i], "former connection not closed")
			}
		}
		switch {
		case err == nil && n.session != 0:
			n.xid, n.zxid = w.xid, w.zxid
			sd.clients[client] = n
			continue
		case err == nil:
			if _, err := n.eof(); err != nil {
				shown[i] = append(shown[i], "connection not closed")
			}
		}
		_ = n.nc.Close()
		if how == "wrong password" { // the session is still there, and its connection is not
			c.takeUp(sd, client)
		}
	}
	c.same(shown)
}

// damaged sends what no client should: records that are cut short, and operations that do not exist.
func (c *comparison) damaged(client int) {
	c.t.Helper()
	kind := pick(c.rnd, OpCreate, OpCreate2, OpDelete, OpSetData, OpExists, OpGetData, OpGetChildren2, OpGetACL, OpSetACL, OpSync, OpMulti,
		OpSetWatches, OpAuth, Op(17000), Op(-3))
	r := c.write(OpCreate)
	r.kind = kind
	if kind == OpMulti {
		r.parts = []request{c.write(OpDelete), {kind: OpGetData, path: c.root}}
	}
	body := r.encode()
	body = body[:c.rnd.IntN(len(body)+1)]
	c.ask(client, kind, func(*side) []byte { return body }, fmt.Sprintf("damaged %x", body))
	var ended [2]bool
	for i, sd := range c.sides {
		_, err := sd.clients[client].call(OpExists, (&request{kind: OpExists, path: "/"}).encode())
		ended[i] = err != nil
	}
	if ended[0] != ended[1] {
		c.fail("connection ended: real %v, ours %v", ended[0], ended[1])
	}
	if ended[0] {
		c.reopen(client, false)
	}
}
