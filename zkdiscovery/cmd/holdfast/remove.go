package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/spf13/cobra"
)

// probeTimeout bounds one question to an instance.
const probeTimeout = 2 * time.Second

// asked is what an instance answers.
type asked struct {
	answers bool
	how     string // "rpcx", "rpcx with TLS", "something else", "nothing"; "cannot be asked" on a network without a probe
	err     error
}

// ask asks an instance whether it is there: with rpcx's heartbeat, then that within TLS, then whether anything listens. When ctx ends meanwhile, what comes
// of it means nothing.
func ask(ctx context.Context, key string) asked {
	network, address, _ := strings.Cut(key, "@")
	try := func(p zkdiscovery.Probe) error {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		return p(ctx, network, address)
	}
	err := try(zkdiscovery.HeartbeatProbe(nil))
	switch {
	case err == nil:
		return asked{true, "rpcx", nil}
	case errors.Is(err, errors.ErrUnsupported):
		return asked{false, "cannot be asked", err}
	case try(zkdiscovery.DialProbe()) != nil:
		return asked{false, "nothing", err}
	case try(zkdiscovery.HeartbeatProbe(&tls.Config{InsecureSkipVerify: true})) == nil: //nolint:gosec // it sends nothing that is secret
		return asked{true, "rpcx with TLS", nil}
	}
	return asked{true, "something else", err}
}

func (a *app) remove() *cobra.Command {
	c := &cobra.Command{
		Use:   "remove INSTANCE",
		Short: "Delete an instance that nobody owns and that does not answer",
		Long: "Delete the node of an instance (tcp@10.0.0.1:8972) that no session owns, and whose address does not answer. Such a node is left\n" +
			"behind when somebody writes one that has just gone: it is persistent then. An instance with an owner ends with its process: see drain.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := a.servicePath()
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, zk *zookeeper) error { return a.removeIt(ctx, zk, path, args[0]) })
		},
	}
	a.needService(c)
	return c
}

// needService adds the flag that says which service is meant.
func (a *app) needService(c *cobra.Command) {
	c.Flags().StringVar(&a.service, "service", "", "`name` of the service, as servers register it")
	if err := c.MarkFlagRequired("service"); err != nil {
		panic(err) // the flag is there
	}
}

func (a *app) removeIt(ctx context.Context, zk *zookeeper, path, key string) error {
	i, err := zk.find(ctx, path, key)
	if err != nil {
		return err
	}
	if i.Owner != "" {
		return fail(exitRefused, "%s belongs to session %s, and goes with it: use drain", key, i.Owner)
	}
	switch answer := ask(ctx, key); {
	case ctx.Err() != nil:
		return ctx.Err()
	case answer.answers:
		return fail(exitRefused, "%s answers (%s): it is not removed", key, answer.how)
	case answer.how == "cannot be asked":
		return fail(exitRefused, "%s cannot be asked on its network: it is not removed", key)
	}
	switch now, err := zk.find(ctx, path, key); { // a node that was made anew has the version of the first one
	case err != nil:
		return err
	case now != i:
		return fail(exitRefused, "%s has changed while it was asked: it is not removed", key)
	}
	if _, err := zk.Write(ctx, zk.State().Session, session.Delete{Path: i.path, Version: i.Version}); err != nil {
		return fmt.Errorf("delete %s: %w", i.path, err)
	}
	return a.result(map[string]any{"removed": i}, func(w io.Writer) { _, _ = fmt.Fprintf(w, "removed %s\n", cell(i.path)) })
}
