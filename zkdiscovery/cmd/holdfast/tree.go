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
	State    string    `json:"state"` // "active", "inactive", or "unreadable"
	Owner    string    `json:"owner"` // the session, in hexadecimal; "" when nobody owns it
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
	Version  int32     `json:"version"`

	path string
}

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
	for _, n := range nodes {
		if errors.Is(n.Err, session.ErrNoNode) {
			continue
		}
		sv.Instances = append(sv.Instances, instanceOf(path, n))
	}
	return sv, others, nil
}

func instanceOf(parent string, n session.Node) instance {
	key, _ := znode.InstanceKey(n.Name)
	i := instance{
		Key: key, Metadata: string(n.Data), State: "active", Version: n.Stat.Version,
		Created: time.UnixMilli(n.Stat.Ctime).UTC(), Changed: time.UnixMilli(n.Stat.Mtime).UTC(), path: parent + "/" + n.Name,
	}
	if n.Stat.EphemeralOwner != 0 {
		i.Owner = fmt.Sprintf("0x%x", uint64(n.Stat.EphemeralOwner)) //nolint:gosec // the bits as they are
	}
	switch q, err := url.ParseQuery(i.Metadata); {
	case n.Err != nil:
		i.State = "unreadable"
	case err == nil && q.Get("state") == "inactive":
		i.State = "inactive"
	}
	return i
}

// services finds every service below the base path: a path with an instance below it, or with nothing.
func (zk *zookeeper) services(ctx context.Context) ([]service, error) {
	top := zk.base
	var found []service
	looked := 0
	var walk func(path string, depth int) error
	walk = func(path string, depth int) error {
		if looked++; looked > maxNodes {
			return fmt.Errorf("more than %d nodes below %s: name one with --service", maxNodes, top)
		}
		sv, others, err := zk.read(ctx, path+rootSlash(path))
		switch {
		case errors.Is(err, session.ErrNoNode) && depth > 0:
			return nil // gone meanwhile
		case err != nil:
			return err
		case sv != nil && depth > 0:
			found = append(found, *sv)
		}
		if sv != nil && len(sv.Instances) > 0 || depth == maxDepth {
			return nil // what else stands there are locks and the like
		}
		for _, name := range others {
			if path == "" && name == "zookeeper" {
				continue
			}
			if err := walk(path+"/"+name, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(top, 0); err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b service) int { return strings.Compare(a.Path, b.Path) })
	return found, nil
}

// rootSlash is what the root's path lacks to be one.
func rootSlash(path string) string {
	if path == "" {
		return "/"
	}
	return ""
}

// find reads one instance of the service that is meant.
func (zk *zookeeper) find(ctx context.Context, servicePath, key string) (instance, error) {
	name := znode.InstanceName(key)
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
