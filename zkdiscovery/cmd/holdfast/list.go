package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) list() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List services and their instances in ZooKeeper",
		Long: "List services and their instances in ZooKeeper, with their age, state and owner. An instance without an owner is persistent:\n" +
			"it stays when its process ends. See remove.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), a.listThem)
		},
	}
	c.Flags().StringVar(&a.service, "service", "", "`name` of the one service to list")
	return c
}

func (a *app) listThem(ctx context.Context, zk *zookeeper) error {
	all, refused := []service{}, []string{}
	if a.service == "" {
		found, secret, err := zk.services(ctx)
		if err != nil {
			return err
		}
		all, refused = append(all, found...), append(refused, secret...)
	} else {
		path, err := a.servicePath()
		if err != nil {
			return err
		}
		sv, _, err := zk.read(ctx, path)
		if err != nil {
			return err
		}
		if sv == nil {
			return fail(exitNotFound, "%s has no instances, but other nodes below it", path)
		}
		all = append(all, *sv)
	}
	err := a.result(struct {
		Services []service `json:"services"`
		Refused  []string  `json:"refused"` // paths that may not be listed
	}{all, refused}, func(w io.Writer) { a.writeServices(w, all) })
	if err == nil && len(refused) > 0 {
		return fail(exitRefused, "%d paths may not be listed, %s for example", len(refused), refused[0])
	}
	return err
}

func (a *app) writeServices(w io.Writer, all []service) {
	var rows [][]string
	now := time.Now()
	for _, sv := range all {
		if len(sv.Instances) == 0 {
			rows = append(rows, []string{cell(sv.Path), "none", "", "", "", ""})
		}
		for _, i := range sv.Instances {
			owner := i.Owner
			if owner == "" {
				owner = "no owner"
			}
			since := "unknown"
			if !i.Created.IsZero() {
				since = age(now.Sub(i.Created))
			}
			rows = append(rows, []string{cell(sv.Path), cell(i.Key), i.State, since, owner, cell(i.Metadata)})
		}
		if len(sv.Skipped) > 0 {
			a.note("%s: %d children are no instances, %s for example", cell(sv.Path), len(sv.Skipped), cell(sv.Skipped[0]))
		}
	}
	table(w, []string{"SERVICE", "INSTANCE", "STATE", "AGE", "OWNER", "METADATA"}, rows)
	if len(all) == 0 {
		_, _ = fmt.Fprintln(a.diag, "no service below "+cell(a.base)) // nobody is there to be told that it fails
	}
}
