package zktest

import (
	"fmt"
	"slices"
)

// What a client does in a comparison, beyond sending one request and waiting for its reply.

// close closes a client's session. What belonged to it is deleted in the order of a hash table by ZooKeeper and in that of the paths by us,
// so the order in which anybody hears of it does not count.
func (c *comparison) close(client int) {
	c.t.Helper()
	others := func() {
		for i := range comparedClients {
			if i != client && c.sides[0].clients[i].session != 0 {
				c.send(i, &request{kind: OpSync, path: "/"})
			}
		}
	}
	others()
	c.sorted = true
	c.send(client, &request{kind: OpClose})
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

func (c *comparison) authenticate(client int) {
	c.t.Helper()
	r := c.auth()
	if c.send(client, &r)[0].code != CodeOK {
		c.ended(client)
		c.reopen(client, false)
	}
}

// pipeline sends several requests before it looks for the first reply. Two are left out, since ZooKeeper 3.8 has not got over them when the
// next is looked at: a setACL, after which the old ACL counts for a while, and a multi that it cannot read, whose first parts do.
func (c *comparison) pipeline(client int) {
	c.t.Helper()
	var requests []request
	for len(requests) < 2+c.rnd.IntN(10) {
		r := c.request()
		ttl := slices.ContainsFunc(r.parts, func(p request) bool { return p.flags == 5 || p.flags == 6 })
		if r.kind != OpSetACL && !ttl {
			requests = append(requests, r)
		}
	}
	c.history = append(c.history, fmt.Sprintf("%d: client %d pipelines", len(c.history), client))
	for i := range requests {
		c.history = append(c.history, fmt.Sprintf("\t\t%v %v", requests[i].kind, &requests[i]))
	}
	var shown [2][]string
	for i, sd := range c.sides {
		w := sd.clients[client]
		for j := range requests {
			if _, err := w.post(requests[j].kind, requests[j].encode()); err != nil {
				c.fail("%s: %v", sd.name, err)
			}
		}
		for j := 0; j < len(requests); {
			a, err := w.answer()
			if err != nil {
				c.fail("%s: reply %d: %v", sd.name, j, err)
			}
			shown[i] = append(shown[i], sd.answer(requests[j].kind, a))
			if a.xid != xidEvent {
				j++
			}
		}
	}
	c.same(shown)
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
	lists := make([][]string, 5)
	for i := range lists {
		for range c.rnd.IntN(4) {
			lists[i] = append(lists[i], c.path())
		}
	}
	back := pick[int64](c.rnd, 0, 0, 1, 2, 5, 1000)
	c.ask(client, kind, func(sd *side) []byte {
		r := request{kind: kind, watches: watchesLost{zxid: max(sd.clients[client].zxid-back, sd.base), data: lists[0], exist: lists[1], child: lists[2]}}
		if kind == OpSetWatches2 {
			r.watches.persistent, r.watches.recursive = lists[3], lists[4]
		}
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
		OpRemoveWatches, OpSetWatches, OpAddWatch, OpMultiRead, OpAuth, 17000, -3)
	for c.like >= Version39 && (kind.writes() || kind == OpCheck) { // which of these take up a zxid is not the same as in 3.8
		kind = pick(c.rnd, OpExists, OpGetChildren2, OpSync, OpMultiRead, OpSetWatches, OpAuth)
	}
	r := c.write(OpCreate)
	r.kind, r.scheme = kind, schemeDigest
	if kind == OpMulti {
		r.parts = []request{c.write(OpDelete), {kind: OpGetData, path: c.root}}
	}
	body := r.encode()
	body = body[:c.rnd.IntN(max(1, len(body)))]
	c.ask(client, kind, func(*side) []byte { return body }, fmt.Sprintf("damaged %x", body))
	if !c.like.knows(kind) || kind == OpAuth {
		c.ended(client)
		c.reopen(client, false)
	}
}
