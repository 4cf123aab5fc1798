package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

const (
	maxDepth = 8      // of a service's name
	maxNodes = 20_000 // that are looked at for services
)

// service is what stands below one path.
type service struct {
	Path      string     `json:"path"`
	Instances []instance `json:"instances"`
	Skipped   []string   `json:"skipped"` // children that are no instances, of a path that has some
}

// instance is one node.
type instance struct {
	Key      string    `json:"key"`
	Metadata string    `json:"metadata"`
	State    string    `json:"state"` // one of those below
	Owner    string    `json:"owner"` // the session, in hexadecimal; "" when nobody owns it; "unknown" when even that may not be read
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
	Version  int32     `json:"version"`

	path  string
	czxid int64 // of no two nodes the same
}

// The states of an instance.
const (
	stateActive     = "active"
	stateInactive   = "inactive" // drained
	stateUnreadable = "unreadable"
)

const ownerUnknown = "unknown"

// read reads the instances of the service at path; nil when the path has children, and none of them is an instance.
func (zk *zookeeper) read(ctx context.Context, path string) (*service, []string, error) {
	ls, err := zk.List(ctx, path)
	if err != nil {
		return nil, nil, fmt.Errorf("list %s: %w", path, err)
	}
	var names, others []string
	for _, name := range slices.Sorted(slices.Values(ls.Names)) {
		if _, ok := znode.InstanceKey(name); ok {
			names = append(names, name)
		} else {
			others = append(others, name)
		}
	}
	if len(names) == 0 && len(others) > 0 {
		return nil, others, nil
	}
	nodes, err := zk.Read(ctx, path, names, false)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	sv := &service{Path: path, Instances: []instance{}, Skipped: []string{}}
	sv.Skipped = append(sv.Skipped, others...)
	if err := zk.secret(ctx, path, nodes); err != nil {
		return nil, nil, fmt.Errorf("look at %s: %w", path, err)
	}
	for _, n := range nodes {
		if errors.Is(n.Err, session.ErrNoNode) {
			continue
		}
		sv.Instances = append(sv.Instances, instanceOf(path, n))
	}
	return sv, others, nil
}

// secret finds out the Stat of those nodes that may not be read, where the server tells that.
func (zk *zookeeper) secret(ctx context.Context, path string, nodes []session.Node) error {
	var paths []string
	var at []int
	for i, n := range nodes {
		if errors.Is(n.Err, session.ErrNoAuth) {
			paths, at = append(paths, path+"/"+n.Name), append(at, i)
		}
	}
	found, err := zk.Look(ctx, false, paths...)
	for i := range found {
		nodes[at[i]].Stat = found[i].Stat
	}
	return err
}

func instanceOf(parent string, n session.Node) instance {
	key, _ := znode.InstanceKey(n.Name)
	i := instance{
		Key: key, Metadata: string(n.Data), State: stateActive, Version: n.Stat.Version, Owner: ownerUnknown, path: parent + "/" + n.Name, czxid: n.Stat.Czxid,
	}
	if n.Stat.Czxid != 0 {
		i.Created, i.Changed, i.Owner = time.UnixMilli(n.Stat.Ctime).UTC(), time.UnixMilli(n.Stat.Mtime).UTC(), ""
	}
	if n.Stat.EphemeralOwner != 0 {
		i.Owner = fmt.Sprintf("0x%x", uint64(n.Stat.EphemeralOwner)) //nolint:gosec // the bits as they are
	}
	switch q, err := url.ParseQuery(i.Metadata); {
	case n.Err != nil:
		i.State = stateUnreadable
	case err == nil && q.Get("state") == "inactive":
		i.State = stateInactive
	}
	return i
}

// services finds every service below the base path: a path with an instance below it, or with nothing. Below a service there are locks and the like: what has
// an instance is a service there. refused are the paths that may not be listed.
func (zk *zookeeper) services(ctx context.Context) (found []service, refused []string, err error) {
	top := zk.base
	looked := 0
	var walk func(path string, depth int, within bool) error // within a service
	walk = func(path string, depth int, within bool) error {
		if looked++; looked > maxNodes {
			return fmt.Errorf("more than %d nodes below %s: name one with --service", maxNodes, top)
		}
		sv, others, err := zk.read(ctx, zk.at(path))
		switch {
		case errors.Is(err, session.ErrNoNode) && depth > 0:
			return nil // gone meanwhile
		case errors.Is(err, session.ErrNoAuth) && within:
			return nil
		case errors.Is(err, session.ErrNoAuth) && depth > 0:
			refused = append(refused, path)
			return nil
		case err != nil:
			return err
		}
		serves := sv != nil && len(sv.Instances) > 0
		if depth > 0 && (serves || sv != nil && !within) {
			found = append(found, *sv)
		}
		if depth == maxDepth {
			return nil
		}
		for _, name := range others {
			if path == "" && zk.chroot == "" && name == "zookeeper" {
				continue
			}
			if err := walk(path+"/"+name, depth+1, within || serves); err != nil {
				return err
			}
		}
		return nil
	}
	err = walk(top, 0, false)
	slices.SortFunc(found, func(a, b service) int { return strings.Compare(a.Path, b.Path) })
	return found, refused, err
}

// find reads one instance of the service that is meant.
func (zk *zookeeper) find(ctx context.Context, servicePath, key string) (instance, error) {
	name := znode.InstanceName(key)
	if _, ok := znode.InstanceKey(name); !ok || strings.Contains(name, "/") {
		return instance{}, fail(exitUsage, "%s is no instance: network@address is needed", key)
	}
	nodes, err := zk.Read(ctx, servicePath, []string{name}, false)
	switch {
	case err != nil:
		return instance{}, fmt.Errorf("read %s/%s: %w", servicePath, name, err)
	case errors.Is(nodes[0].Err, session.ErrNoNode):
		return instance{}, fail(exitNotFound, "%s has no instance %s", servicePath, key)
	case nodes[0].Err != nil:
		return instance{}, fmt.Errorf("read %s/%s: %w", servicePath, name, nodes[0].Err)
	}
	return instanceOf(servicePath, nodes[0]), nil
}
