package faq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// elsewhere are the errors of programs that this module does not know, and the tests that provoke them.
var elsewhere = map[string]string{
	"Key not found in store":            "zkdiscovery/serverplugin/interop/migration_test.go:TestWhatDiffersOnAClient",
	"zk: could not connect to a server": "zkdiscovery/serverplugin/interop/migration_test.go:TestWhatDiffersOnAClient",
}

// plugin registers Arith at an address in a ZooKeeper.
func plugin(t *testing.T, zk string, opts ...serverplugin.ZooKeeperOpt) *serverplugin.ZooKeeperRegisterPlugin {
	t.Helper()
	p := serverplugin.NewZooKeeperRegisterPlugin(append([]serverplugin.ZooKeeperOpt{
		serverplugin.WithZKServiceAddress("tcp@127.0.0.1:8972"), serverplugin.WithZKServersAddress([]string{zk}), serverplugin.WithZKBasePath("/rpcx"),
	}, opts...)...)
	must(t, p.Start())
	t.Cleanup(func() { _ = p.Stop() })
	must(t, p.Register("Arith", nil, ""))
	return p
}

// provoke makes each error happen.
var provoke = map[string]func(t *testing.T) error{
	"can not found any server": func(t *testing.T) error {
		d, err := zkdiscovery.New("/rpcx", "Arith", []string{zktest.Start(t).Addr()}, zkdiscovery.WithoutCache())
		must(t, err)
		defer d.Close()
		return callOf(t, d)
	},
	"zkdiscovery: no list of instances: neither from ZooKeeper nor from the cache file": func(t *testing.T) error {
		_, err := zkdiscovery.New("/rpcx", "Arith", []string{nobody(t)}, zkdiscovery.WithCacheDir(t.TempDir()), zkdiscovery.WithStartTimeout(100*time.Millisecond))
		for _, reason := range []string{"connection refused", "file does not exist"} {
			if !strings.Contains(err.Error(), reason) {
				t.Errorf("%v does not say %q", err, reason)
			}
		}
		zk := zktest.Start(t)
		zk.Silence(true)
		_, silent := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(t.TempDir()), zkdiscovery.WithStartTimeout(2*time.Second))
		if !strings.Contains(silent.Error(), "no answer within 2s") {
			t.Errorf("%v does not say that ZooKeeper is silent", silent)
		}
		return err
	},
	"connection refused": func(t *testing.T) error {
		return double(xclient(t, client.Failfast, client.DefaultOption, "tcp@"+nobody(t)))
	},
	"selected server is unavailable": func(t *testing.T) error {
		_, _, err := xclient(t, client.Failbackup, client.DefaultOption, "tcp@"+nobody(t)).SendRaw(t.Context(), protocol.NewMessage())
		return err
	},
	"unexpected EOF": func(t *testing.T) error {
		return double(xclient(t, client.Failfast, client.DefaultOption, answering(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_ = c.Close()
		})))
	},
	"net.OpError:": func(t *testing.T) error {
		return double(xclient(t, client.Failfast, client.DefaultOption, answering(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_ = c.(*net.TCPConn).SetLinger(0) // the connection is reset
			_ = c.Close()
		})))
	},
	"connection is shut down": func(t *testing.T) error {
		reached := make(chan net.Conn, 1)
		xc := xclient(t, client.Failfast, client.DefaultOption, answering(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			reached <- c
		}))
		call, err := xc.Go(t.Context(), "Double", &Number{21}, &Number{}, make(chan *client.Call, 1)) // Call would race with Close, in rpcx
		must(t, err)
		defer func(c net.Conn) { _ = c.Close() }(<-reached)
		must(t, xc.Close())
		return (<-call.Done).Error
	},
	"breaker open": func(t *testing.T) error {
		option := client.DefaultOption
		option.GenBreaker = func() client.Breaker { return client.NewConsecCircuitBreaker(1, time.Minute) }
		xc := xclient(t, client.Failfast, option, "tcp@"+nobody(t))
		_ = double(xc) // which opens it
		return double(xc)
	},
	"xClient is shut down": func(t *testing.T) error {
		xc := xclient(t, client.Failover, client.DefaultOption, "tcp@"+nobody(t))
		must(t, xc.Close())
		return double(xc)
	},
	"runtime error: invalid memory address or nil pointer dereference": func(t *testing.T) (err error) {
		d, derr := client.NewPeer2PeerDiscovery("tcp@127.0.0.1:1", "") // which has nothing to watch
		must(t, derr)
		xc := client.NewXClient("Arith", client.Failover, client.SelectByUser, d, client.DefaultOption)
		defer func() { // the XClient's lock is held for ever: it cannot be closed
			if stack := string(debug.Stack()); !strings.Contains(stack, "selectClient") {
				t.Error(stack)
			}
			err, _ = recover().(error)
		}()
		return double(xc)
	},
	"zkdiscovery: closed": func(t *testing.T) error {
		_, d := arith(t, "")
		d.Close()
		return d.WaitLive(t.Context())
	},
	"http: Server closed": func(t *testing.T) error {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		s, ended := server.NewServer(), make(chan error, 1)
		s.DisableHTTPGateway, s.DisableJSONRPC = true, true
		go func() { ended <- s.ServeListener("tcp", ln) }()
		<-s.Started
		shutDown(t, s)
		return <-ended
	},
	"serverplugin: stopped": func(t *testing.T) error {
		p := plugin(t, zktest.Start(t).Addr())
		must(t, p.Stop())
		again := p.Start()
		err := p.Register("Arith", nil, "")
		if !errors.Is(again, err) && fmt.Sprint(again) != fmt.Sprint(err) {
			t.Errorf("Start: %v, Register: %v", again, err)
		}
		return err
	},
	"not confirmed by ZooKeeper yet": func(t *testing.T) error {
		zk := zktest.Start(t)
		p := plugin(t, zk.Addr())
		must(t, p.WaitRegistered(t.Context()))
		zk.Stop()
		return p.Unregister("Arith")
	},
	"the address was lost to a newer process": func(t *testing.T) error {
		zk := zktest.Start(t)
		older := plugin(t, zk.Addr())
		must(t, older.WaitRegistered(t.Context()))
		must(t, plugin(t, zk.Addr()).WaitRegistered(t.Context()))
		await(t, "the older one has noticed", func() bool { return !older.Registered() })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return older.WaitRegistered(ctx)
	},
	"zk: not authenticated": func(t *testing.T) error {
		zk := zktest.Start(t)
		must(t, zk.Put("/rpcx/Arith", nil))
		must(t, zk.SetACL("/rpcx/Arith", []zktest.ACL{{Perms: 31, Scheme: "digest", ID: "somebody:else"}}))
		d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithoutCache(), zkdiscovery.WithLazyStart())
		must(t, err)
		defer d.Close()
		await(t, "ZooKeeper has refused", func() bool { return d.Status().LastErr != nil })
		return d.Status().LastErr
	},
	"the chroot \"…\" does not exist": func(t *testing.T) error {
		p := plugin(t, zktest.Start(t).Addr()+"/chroot")
		var refusal error
		await(t, "ZooKeeper has refused", func() bool {
			st := p.Status()
			refusal = st.Services[0].Err
			return st.Connected && refusal != nil
		})
		return refusal
	},
}

var titles = regexp.MustCompile("(?m)^### `(.*)`$")

// provokes fails the test unless the test at where, "file:test", is there and has the text.
func provokes(t *testing.T, where, text string) {
	t.Helper()
	file, test, _ := strings.Cut(where, ":")
	source, err := os.ReadFile(filepath.Join("../..", filepath.FromSlash(file)))
	must(t, err)
	_, body, found := strings.Cut(string(source), "\nfunc "+test+"(")
	body, _, _ = strings.Cut(body, "\n}\n")
	if !found || !strings.Contains(body, text) {
		t.Errorf("%s does not provoke %q", where, text)
	}
}

func TestEveryErrorOfThePageIsProvoked(t *testing.T) {
	explained := make(map[string]bool)
	for _, heading := range []string{"Errors of calls", "Errors of a server", "Errors of ZooKeeper"} {
		for _, m := range titles.FindAllStringSubmatch(section(t, heading), -1) {
			explained[m[1]] = true
		}
	}
	if len(explained) < 15 {
		t.Errorf("only %d errors: has the page another form now?", len(explained))
	}
	for text := range explained {
		if where, ok := elsewhere[text]; ok {
			provokes(t, where, text)
		} else if provoke[text] == nil {
			t.Errorf("nobody provokes %q", text)
		}
	}
	for text, f := range provoke {
		t.Run(text, func(t *testing.T) {
			if !explained[text] && !strings.Contains(section(t, "Errors of calls"), "`"+text+"`") {
				t.Error("the page does not have it")
			}
			for part := range strings.SplitSeq(text, "…") {
				if err := f(t); err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

// states are what Status says where a call finds no server, by the page's first cell.
var states = map[string]func(t *testing.T) *zkdiscovery.Discovery{
	"`live, 0 instances`": func(t *testing.T) *zkdiscovery.Discovery {
		zk, d := arith(t, "")
		must(t, zk.Delete("/rpcx/Arith/tcp@127.0.0.1:8972"))
		other, err := zkdiscovery.New("/rpcx", "Arit", []string{zk.Addr()}, zkdiscovery.WithoutCache())
		must(t, err)
		d.Close()
		return other
	},
	"`live, 0 instances`, and the log says `the path above the services does not exist`": func(t *testing.T) *zkdiscovery.Discovery {
		zk, _ := arith(t, "")
		d, err := zkdiscovery.New("/rcpx", "Arith", []string{zk.Addr()}, zkdiscovery.WithoutCache())
		must(t, err)
		await(t, "it is told what is missing", func() bool { return d.Status().MissingPath == "/rcpx" })
		return d
	},
	"`live`, with instances": func(t *testing.T) *zkdiscovery.Discovery {
		_, d := arith(t, "state=inactive")
		return d
	},
	"`none`": func(t *testing.T) *zkdiscovery.Discovery {
		d, err := zkdiscovery.New("/rpcx", "Arith", []string{nobody(t)}, zkdiscovery.WithoutCache(), zkdiscovery.WithLazyStart(),
			zkdiscovery.WithStartTimeout(100*time.Millisecond))
		must(t, err)
		return d
	},
	"`live, 0 instances` right after ZooKeeper came back": func(t *testing.T) *zkdiscovery.Discovery {
		zk, d := arith(t, "", zkdiscovery.WithoutGuard(), zkdiscovery.WithSessionTimeout(time.Second))
		zk.Stop()
		zk.Wipe()
		must(t, zk.Start())
		await(t, "it has obeyed", func() bool { return len(d.GetServices()) == 0 })
		return d
	},
	"`override`": func(t *testing.T) *zkdiscovery.Discovery {
		zk := zktest.Start(t)
		must(t, zk.Put("/rpcx/Arith/tcp@127.0.0.1:8972", nil))
		d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(t.TempDir()))
		must(t, err)
		must(t, os.WriteFile(d.Status().OverrideFile, []byte(`{"empty": true}`), 0o600))
		await(t, "the override is in force", func() bool { return d.Snapshot().Source == zkdiscovery.Override })
		return d
	},
}

func TestEveryStateInWhichNoServerIsFoundIsAsThePageSays(t *testing.T) {
	_, table, _ := strings.Cut(section(t, "Errors of calls"), "| it says |")
	table, _, _ = strings.Cut(table, "\n\n")
	said := rows("\n" + table)
	for _, cells := range said {
		make, ok := states[cells[0]]
		if !ok {
			t.Errorf("nobody makes %q", cells[0])
			continue
		}
		t.Run(cells[0], func(t *testing.T) {
			d := make(t)
			t.Cleanup(d.Close)
			if st := d.Status().String(); !strings.Contains(st, ": "+codeIn(cells[0])[0]) {
				t.Error(st)
			}
			if err := callOf(t, d); !errors.Is(err, client.ErrXClientNoServer) {
				t.Error(err)
			}
		})
	}
	if len(said) != len(states) {
		t.Errorf("%d states on the page, %d here", len(said), len(states))
	}
}

// The causes that are not the list's.
func TestATemplateAndATagThatNobodyHasFindNoServer(t *testing.T) {
	zk, d := arith(t, "weight=1")
	template, err := zkdiscovery.NewTemplate("/rpcx", []string{zk.Addr()}, zkdiscovery.WithoutCache())
	must(t, err)
	defer template.Close()
	if err := callOf(t, template); !errors.Is(err, client.ErrXClientNoServer) {
		t.Error(err)
	}
	s, err := selector.New(selector.WithOnlyTagged(), selector.WithoutProbing())
	must(t, err)
	defer func() { _ = s.Close() }()
	xc := selector.NewXClient("Arith", client.Failfast, d, client.DefaultOption, s)
	defer func() { _ = xc.Close() }()
	ctx := selector.WithTag(t.Context(), "canary")
	if err := xc.Call(ctx, "Double", &Number{21}, &Number{}); !errors.Is(err, client.ErrXClientNoServer) {
		t.Error(err)
	}
}
