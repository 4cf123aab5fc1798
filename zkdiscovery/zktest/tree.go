package zktest

import (
	"maps"
	"math"
	"slices"
	"strings"
)

// tree is the znodes and nothing else: no I/O, no clock, no lock. Requests go in with a session, the identities of the one who asks and
// a time, and replies and events come out; see read and apply. Its rules are those of ZooKeeper's DataTree and PrepRequestProcessor.
type tree struct {
	version    Version
	zxid       int64 // last transaction
	nodes      map[string]*node
	ephemerals map[int64]map[string]struct{} // by session
	containers map[string]struct{}
}

// node is one znode. Its data and ACL are replaced, never changed in place, since replies and copies share them.
type node struct {
	data     []byte
	acl      []ACL
	czxid    int64
	mzxid    int64
	pzxid    int64
	ctime    int64
	mtime    int64
	version  int32
	created  int32 // children ever created: the next sequence number, and half of Stat.Cversion
	aversion int32
	owner    int64
	children names
}

// containerOwner in place of a session says that a node is a container: deleted by the server once it has lost its last child.
const containerOwner = math.MinInt64

// ephemeral reports whether n belongs to a session.
func (n *node) ephemeral() bool { return n.owner != 0 && n.owner != containerOwner }

func (n *node) stat() Stat {
	children := int32(n.children.len()) //nolint:gosec // memory ends first
	owner := int64(0)
	if n.ephemeral() {
		owner = n.owner
	}
	return Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version,
		// The tree counts creations; a client is told creations and deletions.
		Cversion:       n.created*2 - children,
		Aversion:       n.aversion,
		EphemeralOwner: owner,
		DataLength:     int32(len(n.data)), //nolint:gosec // bounded by the frame
		NumChildren:    children,
	}
}

// configPath is where ZooKeeper from 3.5 on keeps its own configuration.
const configPath = "/zookeeper/config"

// newTree is what a new ensemble holds: the root and ZooKeeper's own nodes.
func newTree(v Version) *tree {
	open := []ACL{{permAll, "world", "anyone"}}
	t := &tree{
		nodes:      make(map[string]*node),
		ephemerals: make(map[int64]map[string]struct{}),
		containers: make(map[string]struct{}),
	}
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/quota"} {
		t.nodes[path] = &node{data: []byte{}, acl: open}
		if path != "/" {
			parent, name := split(path)
			t.nodes[orRoot(parent)].children.add(name)
		}
	}
	t.nodes[""] = t.nodes["/"] // the parent of "/a", cut off at the slash; clients may ask for it too
	t.setVersion(v)
	return t
}

// setVersion has the tree be one of another version's: it gains or loses the node of the configuration.
func (t *tree) setVersion(v Version) {
	t.version = v
	parent, name := split(configPath)
	switch _, there := t.nodes[configPath]; {
	case v == Version34 && there:
		delete(t.nodes, configPath)
		t.nodes[parent].children.remove(name)
	case v > Version34 && !there:
		t.nodes[configPath] = &node{data: []byte{}, acl: []ACL{{permRead, "world", "anyone"}}, aversion: -1}
		t.nodes[parent].children.add(name)
	}
}

// clone is a copy that shares nothing that either of the two changes.
func (t *tree) clone() *tree {
	c := &tree{
		version:    t.version,
		zxid:       t.zxid,
		nodes:      make(map[string]*node, len(t.nodes)),
		ephemerals: make(map[int64]map[string]struct{}, len(t.ephemerals)),
		containers: maps.Clone(t.containers),
	}
	for path, n := range t.nodes {
		m := *n
		m.children = n.children.clone()
		c.nodes[path] = &m
	}
	c.nodes[""] = c.nodes["/"]
	for session, paths := range t.ephemerals {
		c.ephemerals[session] = maps.Clone(paths)
	}
	return c
}

// caller is who asks: a session, or 0, with the identities of its connection.
type caller struct {
	session int64
	ids     []identity
}

// event is a change that watches may wait for. A watcher who may not read what it is about is not told, though its watch is used up (since
// 3.8.4 and 3.9.2; CVE-2024-23944).
type event struct {
	kind eventType
	path string
	acl  []ACL
	zxid int64 // of the transaction; 0 for what a client is told that was away
}

// read answers what changes nothing. To set the watch that r may ask for is not the tree's part.
func (t *tree) read(r *request, by caller) result {
	if r.kind == OpExists && strings.IndexByte(r.path, 0) >= 0 {
		return result{code: CodeBadArguments} // the one path that reading minds
	}
	n := t.nodes[r.path]
	if n == nil {
		return result{code: CodeNoNode}
	}
	switch r.kind {
	case OpExists:
		if t.version >= Version39 && !allowed(n.acl, permRead, by.ids) { // ZOOKEEPER-2590; in 3.8 from 3.8.4 on
			return result{code: CodeNoAuth}
		}
		return result{stat: n.stat()}
	case OpGetACL:
		if !allowed(n.acl, permRead|permAdmin, by.ids) {
			return result{code: CodeNoAuth}
		}
		acl := n.acl
		if !allowed(n.acl, permAdmin, by.ids) {
			acl = maskACL(acl)
		}
		return result{acl: acl, stat: n.stat()}
	default:
	}
	if !allowed(n.acl, permRead, by.ids) {
		return result{code: CodeNoAuth}
	}
	if r.kind == OpGetData {
		return result{data: n.data, stat: n.stat()}
	}
	return result{children: n.children.order, stat: n.stat()}
}

// insert hangs n into the tree, below a parent that exists.
func (t *tree) insert(path string, n *node) {
	parent, name := split(path)
	t.nodes[parent].children.add(name)
	t.nodes[path] = n
	if n.owner == containerOwner {
		t.containers[path] = struct{}{}
	}
	if n.ephemeral() {
		if t.ephemerals[n.owner] == nil {
			t.ephemerals[n.owner] = make(map[string]struct{})
		}
		t.ephemerals[n.owner][path] = struct{}{}
	}
}

// remove takes the node at path, which has no children, out of the tree.
func (t *tree) remove(path string) {
	parent, name := split(path)
	n := t.nodes[path]
	t.nodes[parent].children.remove(name)
	delete(t.nodes, path)
	delete(t.containers, path)
	if n.ephemeral() {
		delete(t.ephemerals[n.owner], path)
		if len(t.ephemerals[n.owner]) == 0 {
			delete(t.ephemerals, n.owner)
		}
	}
}

// split cuts a path at its last slash, of which there is one; the parent of a child of the root is "".
func split(path string) (parent, name string) {
	slash := strings.LastIndexByte(path, '/')
	return path[:slash], path[slash+1:]
}

// orRoot gives the root the name that clients know it by.
func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// names is a set of children that gains and loses one in constant time and lists them in the same order every time.
type names struct {
	order []string
	at    map[string]int
}

func (s *names) len() int { return len(s.order) }

func (s *names) add(name string) {
	if s.at == nil {
		s.at = make(map[string]int)
	}
	s.at[name] = len(s.order)
	s.order = append(s.order, name)
}

func (s *names) remove(name string) {
	i, last := s.at[name], len(s.order)-1
	moved := s.order[last]
	s.order[i], s.at[moved] = moved, i
	s.order[last] = ""
	s.order = s.order[:last]
	delete(s.at, name)
}

func (s *names) clone() names { return names{order: slices.Clone(s.order), at: maps.Clone(s.at)} }
