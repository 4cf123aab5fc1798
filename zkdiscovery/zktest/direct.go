package zktest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// What follows lets a test or a demonstration look at the tree and change it without a client. A change takes the way that a client's takes:
// watches fire. It is done with every permission, and in any state of the server, also while it is stopped or silent: somebody else has done
// it. Errors are Codes, to be told apart with errors.Is.

// direct is who the methods below are for the tree.
var direct = caller{ids: []identity{{scheme: schemeSuper}}}

// Node is a copy of a znode.
type Node struct {
	Data []byte
	ACL  []ACL
	Stat Stat
}

// Create creates a persistent node that anybody may do anything with. Its parent must exist.
func (s *Server) Create(path string, data []byte) error {
	return s.do(&request{kind: OpCreate, path: path, data: bytes.Clone(data), acl: openACL()})
}

// Set replaces the data of a node.
func (s *Server) Set(path string, data []byte) error {
	return s.do(&request{kind: OpSetData, path: path, data: bytes.Clone(data), version: -1})
}

// SetACL replaces the access control list of a node.
func (s *Server) SetACL(path string, acl []ACL) error {
	return s.do(&request{kind: OpSetACL, path: path, acl: slices.Clone(acl), version: -1})
}

// Delete deletes a node without children, of any owner.
func (s *Server) Delete(path string) error {
	return s.do(&request{kind: OpDelete, path: path, version: -1})
}

// Put sets the data of a node, creating it, and with empty data its parents, where they are missing.
func (s *Server) Put(path string, data []byte) error {
	if !validPath(path) {
		return fmt.Errorf("zktest: put %s: %w", path, CodeBadArguments)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 1; i < len(path); i++ {
		if path[i] == '/' && s.state.tree.nodes[path[:i]] == nil {
			if err := s.doLocked(&request{kind: OpCreate, path: path[:i], data: []byte{}, acl: openACL()}); err != nil {
				return err
			}
		}
	}
	r := &request{kind: OpSetData, path: path, data: bytes.Clone(data), version: -1}
	if s.state.tree.nodes[path] == nil {
		r = &request{kind: OpCreate, path: path, data: bytes.Clone(data), acl: openACL()}
	}
	return s.doLocked(r)
}

// Get returns a copy of a node.
func (s *Server) Get(path string) (Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.state.tree.nodes[path]
	if n == nil {
		return Node{}, fmt.Errorf("zktest: get %s: %w", path, CodeNoNode)
	}
	return n.copy(), nil
}

// Children returns the names of a node's children, sorted.
func (s *Server) Children(path string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.state.tree.nodes[path]
	if n == nil {
		return nil, fmt.Errorf("zktest: children of %s: %w", path, CodeNoNode)
	}
	list := slices.Clone(n.children.order)
	slices.Sort(list)
	return list, nil
}

// Tree returns a copy of every node, by path, without ZooKeeper's own below /zookeeper.
func (s *Server) Tree() map[string]Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes := make(map[string]Node, len(s.state.tree.nodes))
	for path, n := range s.state.tree.nodes {
		if isUsers(path) {
			nodes[path] = n.copy()
		}
	}
	return nodes
}

// isUsers reports whether the node at path is not ZooKeeper's own.
func isUsers(path string) bool {
	return path != "" && path != "/zookeeper" && !strings.HasPrefix(path, "/zookeeper/")
}

// Zxid is the number of the last transaction.
func (s *Server) Zxid() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.tree.zxid
}

// Sessions returns the ids of the sessions that have not ended, sorted.
func (s *Server) Sessions() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessionIDs()
}

func (s *Server) sessionIDs() []int64 {
	ids := make([]int64, 0, len(s.state.sessions))
	for id := range s.state.sessions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (s *Server) do(r *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doLocked(r)
}

func (s *Server) doLocked(r *request) error {
	res := s.apply(r, direct)
	if res.code != CodeOK {
		return fmt.Errorf("zktest: %s %s: %w", r.kind, r.path, res.code)
	}
	return nil
}

func (n *node) copy() Node {
	return Node{Data: bytes.Clone(n.data), ACL: slices.Clone(n.acl), Stat: n.stat()}
}

func openACL() []ACL { return []ACL{{permAll, schemeWorld, "anyone"}} }
