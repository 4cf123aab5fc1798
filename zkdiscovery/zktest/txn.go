package zktest

import (
	"fmt"
	"maps"
	"slices"
)

// txn is one transaction on a tree: a write, or the writes of a multi, all under one zxid. Its rules, and the order in which they are
// looked at, are those of ZooKeeper's PrepRequestProcessor, since a request that breaks two of them is told of the first.
type txn struct {
	tree   *tree
	by     caller
	now    int64 // ms since the epoch
	events []event
	undo   []func()
}

// apply performs a write and returns what to answer and what has happened, in order. A write that fails changes nothing, but it takes up a
// zxid, as in ZooKeeper.
func (t *tree) apply(r *request, by caller, now int64) (result, []event) {
	t.zxid++
	x := &txn{tree: t, by: by, now: now}
	var res result
	if r.kind == OpMulti {
		res = x.multi(r.parts)
	} else {
		res = x.write(r)
	}
	return res, x.events
}

func (x *txn) write(r *request) result {
	switch r.kind {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		return x.create(r)
	case OpDelete:
		return x.delete(r)
	case OpSetData:
		return x.setData(r)
	case OpSetACL:
		return x.setACL(r)
	case OpCheck:
		return x.check(r)
	case opMiscast:
		return result{code: CodeMarshallingError}
	default:
		return result{code: CodeUnimplemented}
	}
}

// multi does all of parts or none.
func (x *txn) multi(parts []request) result {
	res := result{parts: make([]result, len(parts))}
	for i := range parts {
		p := x.write(&parts[i])
		p.kind = parts[i].kind
		res.parts[i] = p
		if p.code == CodeOK {
			continue
		}
		for _, undo := range slices.Backward(x.undo) {
			undo()
		}
		x.events = nil
		if parts[i].kind == opMiscast {
			return result{code: CodeMarshallingError}
		}
		for j := range res.parts { // those before it say ok, though nothing has been done; those after it were not tried
			code := CodeOK
			if j == i {
				code = p.code
			} else if j > i {
				code = CodeRuntimeInconsistency
			}
			res.parts[j] = result{kind: opError, code: code}
		}
		break
	}
	return res
}

type createMode struct{ ephemeral, sequential, container, ttl bool }

// createModes by the flags of the request.
var createModes = [...]createMode{
	{},
	{ephemeral: true},
	{sequential: true},
	{ephemeral: true, sequential: true},
	{container: true},
	{ttl: true},
	{ttl: true, sequential: true},
}

func modeOf(flags int32) (mode createMode, ok bool) {
	if flags < 0 || int(flags) >= len(createModes) {
		return createMode{}, false
	}
	return createModes[flags], true
}

func (x *txn) create(r *request) result {
	mode, ok := modeOf(r.flags)
	switch {
	case !ok, x.tree.version == Version34 && (mode.container || mode.ttl):
		return result{code: CodeBadArguments}
	case x.tree.version == Version34 && r.acl == nil:
		return result{code: CodeMarshallingError}
	}
	if mode.ttl {
		return result{code: CodeUnimplemented} // as a real server answers unless it was started with extended types
	}
	if r.kind == OpCreateTTL {
		return result{code: CodeBadArguments}
	}
	parentPath, ok := parentOf(r.path)
	if !ok {
		return result{code: CodeBadArguments}
	}
	acl, ok := fixACL(r.acl, x.by.ids)
	if !ok {
		return result{code: CodeInvalidACL}
	}
	parent := x.tree.nodes[parentPath]
	if parent == nil {
		return result{code: CodeNoNode}
	}
	if !allowed(parent.acl, permCreate, x.by.ids) {
		return result{code: CodeNoAuth}
	}
	path := r.path
	if mode.sequential {
		path = fmt.Sprintf("%s%010d", path, parent.created)
	}
	if !validPath(path) {
		return result{code: CodeBadArguments}
	}
	if x.tree.nodes[path] != nil {
		return result{code: CodeNodeExists}
	}
	if parent.ephemeral() {
		return result{code: CodeNoChildrenForEphemerals}
	}
	n := &node{data: r.data, acl: acl, czxid: x.tree.zxid, mzxid: x.tree.zxid, pzxid: x.tree.zxid, ctime: x.now, mtime: x.now}
	switch {
	case r.kind == OpCreateContainer:
		n.owner = containerOwner
	case mode.ephemeral:
		n.owner = x.by.session
	}
	x.save(parent)
	x.tree.insert(path, n)
	x.undo = append(x.undo, func() { x.tree.remove(path) })
	parent.created++
	parent.pzxid = x.tree.zxid
	x.events = append(x.events, event{eventCreated, path, acl, x.tree.zxid}, event{eventChildrenChanged, orRoot(parentPath), parent.acl, x.tree.zxid})
	return result{path: path, stat: n.stat()}
}

func (x *txn) delete(r *request) result {
	parentPath, ok := parentOf(r.path)
	if !ok || reserved(r.path) && (r.path != configPath || x.tree.version > Version34) {
		return result{code: CodeBadArguments}
	}
	parent := x.tree.nodes[parentPath]
	if parent == nil {
		return result{code: CodeNoNode}
	}
	n := x.tree.nodes[r.path]
	switch {
	case n == nil && x.tree.version == Version34:
		return result{code: CodeNoNode}
	case !allowed(parent.acl, permDelete, x.by.ids):
		return result{code: CodeNoAuth}
	case n == nil:
		return result{code: CodeNoNode}
	case r.version != -1 && r.version != n.version:
		return result{code: CodeBadVersion}
	case n.children.len() > 0:
		return result{code: CodeNotEmpty}
	}
	x.unlink(r.path)
	return result{}
}

// unlink deletes a node without children.
func (x *txn) unlink(path string) {
	parentPath, _ := split(path)
	parent, n := x.tree.nodes[parentPath], x.tree.nodes[path]
	x.save(parent)
	x.tree.remove(path)
	x.undo = append(x.undo, func() { x.tree.insert(path, n) })
	parent.pzxid = x.tree.zxid
	x.events = append(x.events, event{eventDeleted, path, n.acl, x.tree.zxid}, event{eventChildrenChanged, orRoot(parentPath), parent.acl, x.tree.zxid})
}

func (x *txn) setData(r *request) result {
	if !validPath(r.path) {
		return result{code: CodeBadArguments}
	}
	n := x.tree.nodes[r.path]
	switch {
	case n == nil:
		return result{code: CodeNoNode}
	case !allowed(n.acl, permWrite, x.by.ids):
		return result{code: CodeNoAuth}
	case r.version != -1 && r.version != n.version:
		return result{code: CodeBadVersion}
	}
	x.save(n)
	n.data, n.mzxid, n.mtime = r.data, x.tree.zxid, x.now
	n.version++
	x.events = append(x.events, event{eventDataChanged, r.path, n.acl, x.tree.zxid})
	return result{stat: n.stat()}
}

func (x *txn) setACL(r *request) result {
	if !validPath(r.path) {
		return result{code: CodeBadArguments}
	}
	acl, ok := fixACL(r.acl, x.by.ids)
	if !ok {
		return result{code: CodeInvalidACL}
	}
	n := x.tree.nodes[r.path]
	switch {
	case n == nil:
		return result{code: CodeNoNode}
	case !allowed(n.acl, permAdmin, x.by.ids):
		return result{code: CodeNoAuth}
	case r.version != -1 && r.version != n.aversion:
		return result{code: CodeBadVersion}
	}
	x.save(n)
	n.acl = acl
	n.aversion++
	return result{stat: n.stat()}
}

func (x *txn) check(r *request) result {
	if !validPath(r.path) {
		return result{code: CodeBadArguments}
	}
	n := x.tree.nodes[r.path]
	switch {
	case n == nil:
		return result{code: CodeNoNode}
	case !allowed(n.acl, permRead, x.by.ids):
		return result{code: CodeNoAuth}
	case r.version != -1 && r.version != n.version:
		return result{code: CodeBadVersion}
	}
	return result{}
}

// save notes what n says of itself, for undoing; its children have undos of their own.
func (x *txn) save(n *node) {
	old := *n
	x.undo = append(x.undo, func() {
		children := n.children
		*n = old
		n.children = children
	})
}

// openSession takes up a zxid, as every new session does.
func (t *tree) openSession() { t.zxid++ }

// closeSession deletes what belongs to a session, all under one zxid, in the order of the paths.
func (t *tree) closeSession(session int64) []event {
	t.zxid++
	x := &txn{tree: t}
	for _, path := range slices.Sorted(maps.Keys(t.ephemerals[session])) {
		x.unlink(path)
	}
	return x.events
}

// sweepContainers deletes, each under a zxid of its own, the containers that have lost their last child.
func (t *tree) sweepContainers() []event {
	var events []event
	for _, path := range slices.Sorted(maps.Keys(t.containers)) {
		if n := t.nodes[path]; n.created > 0 && n.children.len() == 0 {
			t.zxid++
			x := &txn{tree: t}
			x.unlink(path)
			events = append(events, x.events...)
		}
	}
	return events
}
