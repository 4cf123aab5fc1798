package zktest

import "bytes"

// Commit is what one transaction has done to the tree, or several that were done in one step.
type Commit struct {
	Zxid    int64 // of the last transaction
	Changes []Change
	// Replaced says that this is not a transaction: Wipe or Rollback has put another tree in the place of the old one, and Changes creates
	// everything in it, but for ZooKeeper's own nodes.
	Replaced bool
}

// Change is a node that was created, deleted or given data.
type Change struct {
	Path    string
	Deleted bool
	Data    []byte // nil when Deleted
	Stat    Stat   // of the node; zero when Deleted
}

// record tells the journal of what has happened. The caller holds s.mu.
func (s *Server) record(events []event) {
	if s.cfg.journal == nil || len(events) == 0 {
		return
	}
	c := Commit{Zxid: s.state.tree.zxid}
	for _, ev := range events {
		switch ev.kind {
		case eventCreated, eventDataChanged:
			if n := s.state.tree.nodes[ev.path]; n != nil { // deleted again in the same step
				c.Changes = append(c.Changes, changeOf(ev.path, n))
			}
		case eventDeleted:
			c.Changes = append(c.Changes, Change{Path: ev.path, Deleted: true})
		case eventChildrenChanged: // its cause is an event of its own
		}
	}
	s.cfg.journal(c)
}

// recordAll tells the journal of a tree that has replaced another. The caller holds s.mu.
func (s *Server) recordAll() {
	if s.cfg.journal == nil {
		return
	}
	c := Commit{Zxid: s.state.tree.zxid, Replaced: true}
	for path, n := range s.state.tree.nodes {
		if isUsers(path) {
			c.Changes = append(c.Changes, changeOf(path, n))
		}
	}
	s.cfg.journal(c)
}

func changeOf(path string, n *node) Change {
	return Change{Path: path, Data: bytes.Clone(n.data), Stat: n.stat()}
}
