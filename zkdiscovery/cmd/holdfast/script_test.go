package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"github.com/rogpeppe/go-internal/testscript"
	rpcx "github.com/smallnest/rpcx/server"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"holdfast": func() { os.Exit(Main()) }})
}

// TestScripts runs the command as a user does: see testdata. Each script has a ZooKeeper of its own at $ZK, an rpcx server at $LIVE, and nobody at $DEAD.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"zk": zkCommand, "exits": exits, "register": register, "answer": answerWrites, "cached": cached, "hostile": hostile,
		},
	})
}

type serverKey struct{}

func setup(env *testscript.Env) error {
	zk := zktest.NewServer()
	env.Defer(zk.Close)
	if err := zk.Listen("127.0.0.1:0"); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := rpcx.NewServer()
	var served sync.WaitGroup
	served.Go(func() { _ = srv.ServeListener("tcp", l) }) // it ends with Close
	env.Defer(func() { _ = srv.Close(); served.Wait() })
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Setenv("DEAD", "tcp@"+dead.Addr().String())
	env.Setenv("LIVE", "tcp@"+l.Addr().String())
	env.Setenv("ZK", zk.Addr())
	env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
	env.Values[serverKey{}] = zk
	return dead.Close()
}

func zkOf(ts *testscript.TestScript) *zktest.Server { return ts.Value(serverKey{}).(*zktest.Server) }

// zkCommand changes ZooKeeper: zk put PATH DATA, zk delete PATH, zk stop, zk start, zk deny.
func zkCommand(ts *testscript.TestScript, _ bool, args []string) {
	zk := zkOf(ts)
	switch args[0] {
	case "put":
		ts.Check(zk.Put(args[1], []byte(strings.Join(args[2:], " "))))
	case "delete":
		ts.Check(zk.Delete(args[1]))
	case "stop":
		zk.Stop()
	case "start":
		ts.Check(zk.Start())
	case "private":
		ts.Check(zk.SetACL(args[1], []zktest.ACL{{Perms: 31, Scheme: "digest", ID: "user:" + args[2]}}))
	default:
		ts.Fatalf("zk %s", args[0])
	}
}

// exits runs a command and wants its exit code: exits CODE holdfast ….
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = regexp.MustCompile(`\d+`).FindString(err.Error())
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// register registers an instance of a service, as a server's process does: register SERVICE INSTANCE METADATA.
func register(ts *testscript.TestScript, _ bool, args []string) {
	p := serverplugin.NewZooKeeperRegisterPlugin(serverplugin.WithZKServiceAddress(args[1]), serverplugin.WithZKBasePath("/rpcx"),
		serverplugin.WithZKServersAddress([]string{zkOf(ts).Addr()}), serverplugin.WithLogger(slog.New(slog.DiscardHandler)))
	ts.Check(p.Register(args[0], nil, args[2]))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ts.Check(p.WaitRegistered(ctx))
	ts.Defer(func() { _ = p.Stop() })
}

// answerWrites answers the next write of a node, as an instance's process does: answer PATH confirm, answer PATH overrule, answer PATH leave.
func answerWrites(ts *testscript.TestScript, _ bool, args []string) {
	zk, path := zkOf(ts), args[0]
	was, err := zk.Get(path)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	var answers sync.WaitGroup
	answers.Go(func() {
		every := time.NewTicker(5 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-every.C:
			case <-ctx.Done():
				return
			}
			now, err := zk.Get(path)
			if err != nil || now.Stat.Version == was.Stat.Version {
				continue
			}
			switch args[1] {
			case "confirm":
				_ = zk.Set(path, now.Data)
			case "overrule":
				_ = zk.Set(path, was.Data)
			case "leave":
				_ = zk.Delete(path)
			}
			return
		}
	})
	ts.Defer(func() { cancel(); answers.Wait() })
}

// cached has a program mirror a service, so that there is a cache file: cached DIR SERVICE.
func cached(ts *testscript.TestScript, _ bool, args []string) {
	d, err := zkdiscovery.New("/rpcx", args[1], []string{zkOf(ts).Addr()}, zkdiscovery.WithCacheDir(ts.MkAbs(args[0])),
		zkdiscovery.WithLogger(slog.New(slog.DiscardHandler)))
	ts.Check(err)
	d.Close()
	if st := d.Status(); st.CacheFile == "" {
		ts.Fatalf("no file: %v", st)
	} else {
		ts.Setenv("LIST", st.CacheFile)
		ts.Setenv("OVERRIDE", st.OverrideFile)
	}
}

// hostile puts an instance with metadata that would do something to a terminal: hostile PATH.
func hostile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(zkOf(ts).Put(args[0]+"/tcp@\u202egnp.exe", []byte("a=\x1b[31mred\x07&b="+strings.Repeat("x", 900<<10))))
	ts.Check(zkOf(ts).Put(args[0]+"/tcp@<script>", []byte("\xff\xfe\r\n\x1b]0;title\x07")))
}

// Every exit code of the table is provoked by a script.
func TestEveryExitCodeIsProvoked(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, e := range exitCodes {
		if !strings.Contains(all.String(), fmt.Sprintf("exits %d holdfast ", e.code)) {
			t.Errorf("no script for %d: %s", e.code, e.when)
		}
	}
}
