package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/smallnest/rpcx/client"
	"github.com/spf13/cobra"
)

func (a *app) watch() *cobra.Command {
	var changes int
	c := &cobra.Command{
		Use: "watch", Short: "Follow the changes of a service, until interrupted", Args: cobra.NoArgs,
		Long: "Follow the changes of a service in ZooKeeper, until interrupted: + came, - went, ~ other metadata. It obeys ZooKeeper at once, where\n" +
			"programs suspect a sudden loss. With --json, one object on each line.",
		RunE: func(c *cobra.Command, _ []string) error { return a.follow(c.Context(), changes) },
	}
	a.needService(c)
	c.Flags().IntVar(&changes, "changes", 0, "end after `N` of them; 0: go on")
	return c
}

// event is one line of watch.
type event struct {
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"` // "came", "went", "changed"
	Instance string    `json:"instance"`
	Metadata string    `json:"metadata"`
}

func (a *app) follow(ctx context.Context, changes int) error {
	cfg, _, err := a.config()
	if err != nil {
		return err
	}
	if _, err := a.servicePath(); err != nil {
		return err
	}
	cfg.Servers[len(cfg.Servers)-1] += cfg.Chroot
	opts := []zkdiscovery.Option{
		zkdiscovery.WithoutCache(), zkdiscovery.WithoutGuard(),
		zkdiscovery.WithLazyStart(), zkdiscovery.WithStartTimeout(1), // New does not wait: WaitLive does, until it is interrupted
		zkdiscovery.WithLogger(slog.New(slog.NewTextHandler(a.diag, &slog.HandlerOptions{Level: slog.LevelWarn}))),
	}
	for _, c := range cfg.Auth {
		opts = append(opts, zkdiscovery.WithAuth(c.Scheme, c.Credentials))
	}
	if cfg.TLS != nil {
		opts = append(opts, zkdiscovery.WithTLS(cfg.TLS))
	}
	d, err := zkdiscovery.New(a.base, a.service, cfg.Servers, opts...)
	if err != nil {
		return fail(exitUsage, "%w", err)
	}
	defer d.Close()
	started, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	if err := d.WaitLive(started); err != nil && ctx.Err() == nil {
		return a.unreachable(err)
	}
	return a.tell(ctx, d.WatchService(), changes)
}

// tell writes what is new in each list.
func (a *app) tell(ctx context.Context, lists <-chan []*client.KVPair, changes int) error {
	was, told := map[string]string{}, 0
	for {
		select {
		case <-ctx.Done():
			return nil // interrupted is how it ends
		case l := <-lists:
			is := make(map[string]string, len(l))
			for _, kv := range l {
				is[kv.Key] = kv.Value
			}
			for _, e := range events(was, is) {
				if err := a.event(e); err != nil {
					return err
				}
				if told++; told == changes {
					return nil
				}
			}
			was = is
		}
	}
}

func events(was, is map[string]string) []event {
	var all []event
	now := time.Now()
	for _, d := range compare(was, is) {
		all = append(all, event{At: now, Kind: d.kind, Instance: d.key, Metadata: d.metadata})
	}
	return all
}

func (a *app) event(e event) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(e)
	}
	sign := map[string]struct{ text, code string }{"came": {" + ", "32"}, "went": {" - ", "31"}, "changed": {" ~ ", "33"}}[e.Kind]
	text := strings.TrimRight(e.At.Format(time.TimeOnly)+sign.text+cell(e.Instance)+" "+cell(e.Metadata), " ")
	if err := a.line(text, 4, sign.text, sign.code); err != nil {
		return errors.Join(errors.New("nobody reads any more"), err)
	}
	return nil
}
