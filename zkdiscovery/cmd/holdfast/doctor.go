package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/holdfast-go/holdfast/internal/plain"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/spf13/cobra"
)

func (a *app) doctor() *cobra.Command {
	var write bool
	c := &cobra.Command{
		Use: "doctor", Short: "Look at ZooKeeper and at services from the outside, and say what is wrong and what to do", Args: cobra.NoArgs,
		Long: "Look at ZooKeeper and at services from the outside, and say what is wrong and what to do. Asked are: each server of --zk, its version and its limits\n" +
			"where it tells them (the four-letter words srvr, conf and cons); a session, what it may read, and whom ZooKeeper takes it for; every instance.\n" +
			"Nothing is changed without --write.",
		RunE: func(c *cobra.Command, _ []string) error { return a.examine(c.Context(), write) },
	}
	c.Flags().StringVar(&a.service, "service", "", "`name` of the one service to look at; without it, all")
	c.Flags().BoolVar(&write, "write", false, "make a temporary node below the base path, for the difference of clocks and the permission to register")
	return c
}

// finding is one thing that was found.
type finding struct {
	Level string `json:"level"` // "ok", "hint", "problem"
	Check string `json:"check"` // what was looked at: one of the words below
	What  string `json:"what"`
	Do    string `json:"do"` // "" for ok
}

// What is looked at, in this order.
const (
	checkServer   = "server"   // can it be reached, with TLS or without, and does it serve
	checkLimits   = "limits"   // how many connections it allows
	checkSession  = "session"  // is there one
	checkWire     = "wire"     // what the server has of the wire extension
	checkIdentity = "identity" // whom ZooKeeper takes us for
	checkBase     = "base"     // the base path
	checkWrite    = "write"    // may a node be made
	checkClock    = "clock"    // this machine's and ZooKeeper's
	checkService  = "service"  // the path of a service
	checkInstance = "instance" // one instance: does it answer, has it an owner, can its metadata be read
)

const (
	levelOK      = "ok"
	levelHint    = "hint"
	levelProblem = "problem"

	maxFinding = 1000 // bytes
)

// examination is what doctor finds. It is the result as JSON.
type examination struct {
	Servers  []*member   `json:"servers"`
	Session  *sessionFor `json:"session"` // nil: there was none
	Findings []finding   `json:"findings"`

	app *app
}

// sessionFor is the session that doctor has had.
type sessionFor struct {
	Server     string   `json:"server"`
	Version    string   `json:"version"` // "" when it is not told
	TimeoutMS  int64    `json:"timeoutMs"`
	Wire       string   `json:"wire"`
	Identities []string `json:"identities"` // scheme:user, as ZooKeeper tells them; empty when it does not
}

// The three make a finding. What comes from outside is harmless and bounded in it.
func ok(check, format string, args ...any) finding {
	return finding{levelOK, check, plain.Text(fmt.Sprintf(format, args...), maxFinding), ""}
}

func hint(check, do, format string, args ...any) finding {
	return finding{levelHint, check, plain.Text(fmt.Sprintf(format, args...), maxFinding), do}
}

func problem(check, do, format string, args ...any) finding {
	return finding{levelProblem, check, plain.Text(fmt.Sprintf(format, args...), maxFinding), do}
}

// problems counts those among findings.
func problems(found []finding) (n int) {
	for _, f := range found {
		if f.Level == levelProblem {
			n++
		}
	}
	return n
}

func (e *examination) add(found ...finding) { e.Findings = append(e.Findings, found...) }

func (a *app) examine(ctx context.Context, write bool) error {
	cfg, base, err := a.config()
	if err != nil {
		return err
	}
	if _, err := a.servicePath(); err != nil && a.service != "" {
		return err
	}
	cfg.Extension = session.Extension{Lasting: true, Batches: true}.Allowed()
	e := &examination{app: a, Findings: []finding{}}
	e.servers(ctx, &cfg)
	zk, none := a.open(ctx, cfg, base)
	if none != nil {
		e.add(problem(checkSession, e.whyNone(none), "no session: %v", none))
	} else {
		defer zk.Close()
		e.session(ctx, &cfg, zk)
		if e.base(ctx, zk) {
			if write {
				e.clock(ctx, zk)
			}
			e.services(ctx, zk)
		}
	}
	if err := ctx.Err(); err != nil {
		return err // what was asked last means nothing
	}
	var unread error
	if err := a.result(e, func(io.Writer) { unread = e.write() }); err != nil || unread != nil {
		return errors.Join(err, unread)
	}
	switch n := problems(e.Findings); {
	case none != nil:
		return fail(codeOf(none), "ZooKeeper cannot be asked")
	case n > 0:
		return fail(exitFindings, "%d problems", n)
	}
	return nil
}

// write writes the findings for a person.
func (e *examination) write() error {
	paint := map[string]string{levelOK: "32", levelHint: "33", levelProblem: "31"}
	for _, f := range e.Findings {
		if err := e.app.line(f.Level+": "+f.What, 8, f.Level, paint[f.Level]); err != nil {
			return err
		}
		if f.Do == "" {
			continue
		}
		if err := e.app.line("    "+f.Do, 4, "", ""); err != nil {
			return err
		}
	}
	return nil
}
