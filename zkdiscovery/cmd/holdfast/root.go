package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/holdfast-go/holdfast/internal/plain"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// app is one run of the command: its flags and where it writes.
type app struct {
	out, diag io.Writer
	env       func(string) string
	json      bool

	zk      string
	base    string
	auth    []string
	tls     tlsFlags
	timeout time.Duration

	service  string
	cacheDir string
	ensemble string
}

// run runs the command and returns its exit code. Results go to out, everything else to diag.
func run(ctx context.Context, args []string, out, diag io.Writer, env func(string) string) int {
	a := &app{out: out, diag: diag, env: env}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(diag)
	err := root.ExecuteContext(ctx)
	if err != nil {
		_, _ = io.WriteString(diag, "holdfast: "+plain.Text(err.Error(), 2000)+"\n") // nobody is there to be told that it fails
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	if err != nil {
		return exitUsage // cobra's own: it has not come to run anything
	}
	return exitOK
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "holdfast",
		Short:         "Shows and changes what rpcx's services have in ZooKeeper, and what Holdfast's cache files have",
		Long:          "Shows and changes what rpcx's services have in ZooKeeper, and what Holdfast's cache files have.\n\n" + exitTable(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) (err error) {
		c.Flags().Visit(func(f *pflag.Flag) {
			if f.Value.Type() == "string" && f.Value.String() == "" {
				err = fail(exitUsage, "--%s is given, and is empty", f.Name) // a variable of a script's, as a rule, which would mean the default here
			}
		})
		return err
	}
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "write the result as JSON, whose keys stay as they are")
	f.StringVar(&a.zk, "zk", "127.0.0.1:2181", "ZooKeeper at `host:port,...`; the last may carry a chroot, host:port/path")
	f.StringVar(&a.base, "base", "/rpcx", "`path` that the services are below")
	f.StringArrayVar(&a.auth, "auth", nil, "credentials, `scheme:credentials`, digest:user:password for instance, or @file that has such a line")
	f.DurationVar(&a.timeout, "timeout", 10*time.Second, "how long to wait for ZooKeeper")
	a.tls.add(f)
	root.AddCommand(a.list(), a.compareClients(), a.remove(), a.watch(), a.drain(), a.undrain(), a.weight(), a.file(), a.override(), a.doctor())
	withCodes(root)
	return root
}

// withCodes gives what c, or what is below it, fails with its exit code.
func withCodes(c *cobra.Command) {
	if runs := c.RunE; runs != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := runs(c, args); err != nil {
				return &failure{codeOf(err), err}
			}
			return nil
		}
	}
	for _, below := range c.Commands() {
		withCodes(below)
	}
}
