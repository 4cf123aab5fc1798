package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/spf13/cobra"
)

const (
	maxAsked = 500 // instances of one service
	atOnce   = 32
	maxSkew  = 2 * time.Second
)

func (a *app) doctor() *cobra.Command {
	var write bool
	c := &cobra.Command{
		Use: "doctor", Short: "Look at ZooKeeper and a service from the outside, and say what is wrong and what to do", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.examine(c.Context(), write) },
	}
	c.Flags().StringVar(&a.service, "service", "", "`name` of the one service to look at; without it, all")
	c.Flags().BoolVar(&write, "write", false, "make a temporary node below the base path, for the difference of clocks and the permission to register")
	return c
}

// finding is one thing that was found.
type finding struct {
	Level string `json:"level"` // "ok", "hint", "problem"
	What  string `json:"what"`
	Do    string `json:"do"` // "" for ok
}

type examination struct {
	app      *app
	findings []finding
}

func (e *examination) ok(format string, args ...any) {
	e.findings = append(e.findings, finding{"ok", fmt.Sprintf(format, args...), ""})
}

func (e *examination) hint(do, format string, args ...any) {
	e.findings = append(e.findings, finding{"hint", fmt.Sprintf(format, args...), do})
}

func (e *examination) problem(do, format string, args ...any) {
	e.findings = append(e.findings, finding{"problem", fmt.Sprintf(format, args...), do})
}

func (a *app) examine(ctx context.Context, write bool) error {
	e := &examination{app: a}
	addrs, _, _, err := a.paths()
	if err != nil {
		return err
	}
	e.reach(ctx, addrs)
	zk, err := a.connect(ctx)
	switch {
	case codeOf(err) == exitUsage:
		return err
	case err != nil:
		e.problem("is it ZooKeeper that listens there? Does it demand TLS (--tls), or other credentials (--auth)? Its own log has the reason.", "no session: %v", err)
	default:
		defer zk.Close()
		e.session(ctx, zk, write)
		e.services(ctx, zk)
	}
	problems := 0
	for _, f := range e.findings {
		if f.Level == "problem" {
			problems++
		}
	}
	if err := a.result(map[string]any{"findings": e.findings}, func(w io.Writer) {
		paint := map[string]string{"ok": "32", "hint": "33", "problem": "31"}
		for _, f := range e.findings {
			_, _ = fmt.Fprintf(w, "%s: %s\n", a.colour(paint[f.Level], f.Level), cell(f.What)) // as in table
			if f.Do != "" {
				_, _ = fmt.Fprintf(w, "    %s\n", cell(f.Do)) // as in table
			}
		}
	}); err != nil {
		return err
	}
	switch {
	case zk == nil:
		return fail(exitUnreachable, "ZooKeeper cannot be asked")
	case problems > 0:
		return fail(exitFindings, "%d problems", problems)
	}
	return nil
}

// reach dials every server.
func (e *examination) reach(ctx context.Context, addrs []string) {
	for _, addr := range addrs {
		dialler := net.Dialer{Timeout: probeTimeout}
		c, err := dialler.DialContext(ctx, "tcp", addr)
		if err != nil {
			e.problem("does it run? Is the name right, and does a firewall let this machine through?", "server %s: %v", addr, err)
			continue
		}
		_ = c.Close() // nothing was said on it
		e.ok("server %s can be reached", addr)
	}
}

// session looks at the session and at the base path.
func (e *examination) session(ctx context.Context, zk *zookeeper, write bool) {
	st := zk.State()
	e.ok("session with %s, timeout %v", st.Server, st.Timeout)
	base := zk.base + rootSlash(zk.base)
	switch _, err := zk.List(ctx, base); {
	case errors.Is(err, session.ErrNoNode):
		e.problem("are --base and the chroot in --zk those of the servers? Nobody has registered anything, if they are.", "base path %s does not exist", base)
		return
	case errors.Is(err, session.ErrNoAuth):
		e.problem("give credentials that may read it (--auth), or let world:anyone read it", "base path %s may not be listed", base)
		return
	case err != nil:
		e.problem("look again: the connection has ended, or ZooKeeper is overloaded", "base path %s: %v", base, err)
		return
	}
	e.ok("base path %s is there and can be listed", base)
	if write {
		e.clock(ctx, zk)
	}
}

// clock makes a temporary node: its time is ZooKeeper's.
func (e *examination) clock(ctx context.Context, zk *zookeeper) {
	path := fmt.Sprintf("%s/holdfast-doctor-%x", zk.base, zk.State().ID)
	before := time.Now()
	acl := []session.ACL{{Perms: session.PermAll, Scheme: "world", ID: "anyone"}}
	if _, err := zk.Write(ctx, zk.State().Session, session.Create{Path: path, ACL: acl, Ephemeral: true}); err != nil {
		e.problem("servers need the permission to create below the base path", "no node can be made below %s: %v", zk.base+rootSlash(zk.base), err)
		return
	}
	stat, err := zk.Stat(ctx, path)
	after := time.Now()
	if _, removeErr := zk.Write(ctx, zk.State().Session, session.Delete{Path: path, Version: -1}); removeErr != nil {
		e.hint("it goes with this command's session", "the temporary node is not deleted: %v", removeErr)
	}
	if err != nil || stat == nil {
		e.hint("look again", "the temporary node is not found: %v", err)
		return
	}
	at := time.UnixMilli(stat.Ctime)
	skew := max(before.Sub(at), at.Sub(after), 0)
	if skew > maxSkew {
		e.problem("set one of the clocks right: ages of lists and files are wrong by that", "this machine's clock and ZooKeeper's differ by %v", skew.Round(time.Millisecond))
		return
	}
	e.ok("a node can be made below %s; the clocks agree", zk.base+rootSlash(zk.base))
}

func (e *examination) services(ctx context.Context, zk *zookeeper) {
	var all []service
	if e.app.service != "" {
		path, err := e.app.servicePath()
		if err != nil {
			e.problem("see --service", "%v", err)
			return
		}
		sv, _, err := zk.read(ctx, path)
		switch {
		case errors.Is(err, session.ErrNoNode):
			e.problem("has any server registered it? holdfast list shows what there is", "service %s does not exist", path)
			return
		case errors.Is(err, session.ErrNoAuth):
			e.problem("give credentials that may read it (--auth), or let world:anyone read it", "service %s may not be listed", path)
			return
		case err != nil:
			e.problem("look again", "service %s: %v", path, err)
			return
		case sv == nil:
			sv = &service{Path: path}
		}
		all = []service{*sv}
	} else {
		found, err := zk.services(ctx)
		if err != nil && !errors.Is(err, session.ErrNoNode) {
			e.problem("look at one with --service", "services: %v", err)
		}
		all = found
	}
	for i := range all {
		e.service(ctx, &all[i])
	}
}

// service looks at the instances of one service.
func (e *examination) service(ctx context.Context, sv *service) {
	if len(sv.Instances) == 0 {
		e.hint("is a server of it meant to run? Its log says whether it is registered", "service %s has no instance", sv.Path)
		return
	}
	if len(sv.Skipped) > 0 {
		e.hint("clients skip them: a name is network@address", "service %s: %d children are no instances, %s for example", sv.Path, len(sv.Skipped), cell(sv.Skipped[0]))
	}
	asked := min(len(sv.Instances), maxAsked)
	answers := askAll(ctx, sv.Instances[:asked])
	well := 0
	for i, answer := range answers {
		in := sv.Instances[i]
		name := sv.Path + " " + cell(in.Key)
		fine := true
		switch answer.how {
		case "nothing":
			e.problem("does it run, and can this machine reach that address? Clients call it as long as it is listed", "%s does not answer: %v", name, answer.err)
			fine = false
		case "something else":
			e.problem("has another program its address now, or does it demand TLS with certificates?", "%s listens, and does not speak rpcx: %v", name, answer.err)
			fine = false
		case "rpcx with TLS":
			e.hint("clients need Option.TLSConfig, and Guard.TLS in zkdiscovery", "%s answers with TLS only", name)
		}
		if in.Owner == "" {
			e.problem("it stays when its process ends: holdfast remove, when it does not answer", "%s has no owner: its node is persistent", name)
			fine = false
		}
		if _, err := url.ParseQuery(in.Metadata); err != nil {
			e.hint("rpcx ignores state and group in it: write a=b&c=d", "%s: metadata is not a URL query: %v", name, err)
		}
		if fine {
			well++
		}
	}
	if well > 0 {
		e.ok("service %s: %d of %d instances are well", sv.Path, well, len(sv.Instances))
	}
	if asked < len(sv.Instances) {
		e.hint("look at them on their own machines", "service %s: only %d of %d instances were asked", sv.Path, asked, len(sv.Instances))
	}
}

// askAll asks some at once.
func askAll(ctx context.Context, instances []instance) []asked {
	answers := make([]asked, len(instances))
	var wg sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for i, in := range instances {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			answers[i] = ask(ctx, in.Key)
		})
	}
	wg.Wait()
	return answers
}
