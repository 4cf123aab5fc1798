package zktest

import (
	"math/rand/v2"
	"strings"
)

// What a comparison asks for: a small world, so that requests meet.

func pick[T any](rnd *rand.Rand, of ...T) T { return of[rnd.IntN(len(of))] }

// known picks a kind that the version knows.
func (c *comparison) known(of ...Op) Op {
	for {
		if kind := pick(c.rnd, of...); c.like.knows(kind) {
			return kind
		}
	}
}

func (c *comparison) path() string {
	if c.rnd.IntN(12) == 0 {
		return pick(c.rnd, "", "x", "x/y", "/", "//", c.root+"/", c.root+"//a", c.root+"/.", c.root+"/../a", c.root+"/a/./b", c.root+"/\x01",
			c.root+"/a\x00b", c.root+"/\u0085", c.root+"/\ufff5", c.root+"/ä…", c.root+"/a/x/z/w", c.root+"/...",
			"/zookeeper", "/zookeeper/quota", "/zookeeper/config", c.root+"/\xff")
	}
	return pick(c.rnd, c.paths...)
}

func (c *comparison) version() int32 { return pick[int32](c.rnd, -1, -1, -1, -1, -1, 0, 0, 1, 2, -2) }

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
		if c.rnd.IntN(6) > 0 {
			list = append(list, openACL()...)
			continue
		}
		id, _ := authenticate(schemeDigest, []byte(pick(c.rnd, comparedUsers...)), remoteIP(c.sides[0].clients[0].nc))
		list = append(list, ACL{
			Perms: pick[int32](c.rnd, permAll, permAll, permRead, permWrite, permCreate, permDelete, permAdmin, permRead|permWrite, 0, -1),
		})
		a := &list[len(list)-1]
		a.Scheme, a.ID = schemeWorld, "anyone"
		odd := c.rnd.IntN(12)
		if c.like == Version34 { // which finds more of them invalid, and before it looks at the path
			odd %= 5
		}
		switch odd {
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
		r.flags = pick[int32](c.rnd, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 3)
		if c.rnd.IntN(12) == 0 && c.like == Version38 { // 3.4 looks at the flags later, and 3.9 reads the parts of a multi again, by their flags
			r.flags = pick[int32](c.rnd, 4, 5, 6, 7, -1)
		}
		if kind == OpCreateContainer {
			r.flags = pick[int32](c.rnd, 4, 4, 4, 0, 2, 5)
			if c.like != Version38 {
				r.flags = 4
			}
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
		if !strings.HasPrefix(r.path, c.root) { // the nodes of all runs stay open
			r.path = c.root
		}
	default:
	}
	return r
}

// request is any of those that can be sent to both servers as they are.
func (c *comparison) request() request {
	kind := c.known(OpCreate, OpCreate, OpCreate, OpCreate2, OpCreate2, OpCreate2, OpCreateContainer, OpDelete, OpDelete, OpSetData,
		OpSetData, OpExists, OpExists, OpGetData, OpGetData, OpGetChildren, OpGetChildren2, OpGetChildren2, OpGetACL, OpSetACL, OpSync,
		OpMulti, OpMulti, OpMulti, OpMultiRead, OpMultiRead, OpAddWatch)
	if c.rnd.IntN(30) == 0 {
		kind = c.known(OpCreateTTL, OpCheck, OpRemoveWatches, OpRemoveWatches, OpRemoveWatches)
	}
	r := request{kind: kind}
	switch kind {
	case OpExists, OpGetData, OpGetChildren, OpGetChildren2, OpGetACL, OpSync:
		r.path, r.watch = c.path(), c.rnd.IntN(2) == 0
	case OpMulti:
		for range c.rnd.IntN(5) {
			part := c.write(c.known(OpCreate, OpCreate, OpCreate2, OpCreateContainer, OpDelete, OpSetData, OpCheck))
			if part.kind == OpCreate2 && c.like >= Version39 { // which has a result of its own there
				part.kind = OpCreate
			}
			r.parts = append(r.parts, part)
		}
	case OpMultiRead:
		for range c.rnd.IntN(6) {
			r.parts = append(r.parts, request{kind: pick(c.rnd, OpGetData, OpGetData, OpGetChildren), path: c.path(), watch: c.rnd.IntN(2) == 0})
		}
	case OpAddWatch:
		r.path, r.version = c.path(), pick[int32](c.rnd, 0, 0, 1, 1, 1, 1, 2, -1)
	case OpRemoveWatches:
		r.path, r.version = c.path(), pick[int32](c.rnd, 1, 2, 3, 3, 0, 4, 5, -1)
	case OpCheck: // a real 3.8 never answers one by itself that succeeds
		r = c.write(kind)
		r.version = 77
	default:
		r = c.write(kind)
	}
	return r
}

func (c *comparison) auth() request {
	r := request{kind: OpAuth, scheme: schemeDigest, data: []byte(pick(c.rnd, comparedUsers...))}
	if c.rnd.IntN(4) == 0 {
		r.scheme = pick(c.rnd, "world", "ip", "nonsense", "")
	}
	return r
}
