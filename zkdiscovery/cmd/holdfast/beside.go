package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
	"github.com/spf13/cobra"
)

func (a *app) compareClients() *cobra.Command {
	c := &cobra.Command{
		Use: "compare", Short: "Compare what Holdfast lists of a service with what rpcx-zookeeper's client lists", Args: cobra.NoArgs,
		Long: "Compare what Holdfast lists of a service with what rpcx-zookeeper's client lists. That client takes every child of the service's path as an\n" +
			"instance, under the name that it has in ZooKeeper, and has no list while one child may not be read. Its rule is applied to what is read.",
		RunE: func(c *cobra.Command, _ []string) error { return a.with(c.Context(), a.showBeside) },
	}
	a.needService(c)
	return c
}

// listed is one child of the service's path.
type listed struct {
	Node          string `json:"node"`          // its name in ZooKeeper
	Holdfast      string `json:"holdfast"`      // the instance that Holdfast lists; "" for none
	RPCXZooKeeper string `json:"rpcxZookeeper"` // the instance that rpcx-zookeeper's client lists; "" for none
}

// beside says what either client lists of some children. unreadable is one that may not be read: rpcx-zookeeper's client has no list then.
func beside(names []string, unreadable string) (all []listed, differ int) {
	all = []listed{}
	for _, name := range slices.Sorted(slices.Values(names)) {
		l := listed{Node: name}
		if key, ok := znode.InstanceKey(name); ok {
			l.Holdfast = key
		}
		if unreadable == "" {
			l.RPCXZooKeeper = name
		}
		if l.Holdfast != l.RPCXZooKeeper {
			differ++
		}
		all = append(all, l)
	}
	return all, differ
}

func (a *app) showBeside(ctx context.Context, zk *zookeeper) error {
	path, err := a.servicePath()
	if err != nil {
		return err
	}
	ls, err := zk.List(ctx, path)
	if err != nil {
		return fmt.Errorf("list %s: %w", path, err)
	}
	nodes, err := zk.Read(ctx, path, ls.Names, false)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	var names []string
	unreadable := ""
	for _, n := range nodes {
		switch {
		case errors.Is(n.Err, session.ErrNoNode):
			continue // gone meanwhile
		case n.Err != nil:
			unreadable = n.Name
		}
		names = append(names, n.Name)
	}
	all, differ := beside(names, unreadable)
	err = a.result(map[string]any{"service": path, "children": all, "unreadable": unreadable, "differ": differ}, func(w io.Writer) {
		rows := make([][]string, len(all))
		for i, l := range all {
			rows[i] = []string{"same", orNone(l.Holdfast), orNone(l.RPCXZooKeeper)}
			if l.Holdfast != l.RPCXZooKeeper {
				rows[i][0] = "differs"
			}
		}
		table(w, []string{"", "HOLDFAST", "RPCX-ZOOKEEPER"}, rows)
	})
	switch {
	case err != nil:
		return err
	case unreadable != "":
		a.note("%s may not be read: rpcx-zookeeper's client has no list at all", cell(unreadable))
	}
	if differ > 0 {
		return fail(exitFindings, "%d of %d children are listed differently", differ, len(all))
	}
	return nil
}

func orNone(key string) string {
	if key == "" {
		return "not listed"
	}
	return cell(key)
}
