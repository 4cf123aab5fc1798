package serverplugin

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smallnest/rpcx/server"
)

// childConfig is the environment variable that makes a process of this test binary a server, which does what it reads line by line from its
// standard input, and answers each with a line.
const childConfig = "HOLDFAST_TEST_CHILD"

type childOptions struct {
	Servers, Base, Metadata string
	Witness                 string // another service, which says how long the process's session lives
	Listen                  string // host:port of an rpcx server, with a service called Who; "" for none
}

// child is the whole program of such a process.
func child(config string) (code int) {
	var o childOptions
	if err := json.Unmarshal([]byte(config), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p := NewZooKeeperRegisterPlugin(WithZKServiceAddress(cmp.Or(o.Listen, address)), WithZKServersAddress([]string{o.Servers}), WithZKBasePath(o.Base),
		WithSessionTimeout(childSession))
	answer := func(err error) { fmt.Println(strings.ReplaceAll(fmt.Sprint(err), "\n", " ")) }
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch in.Text() {
		case "register":
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			answer(errors.Join(p.Register(o.Witness, nil, ""), p.Register("Arith", nil, o.Metadata), p.WaitRegistered(ctx)))
			cancel()
		case "serve":
			answer(serveWho(p, o))
		case "unregister":
			answer(p.Unregister("Arith"))
		case "stop":
			answer(p.Stop())
		}
	}
	return 0
}

// who answers with the port of its server.
type who int

func (w who) Who(_ context.Context, _ *Args, reply *Reply) error {
	reply.C = int(w)
	return nil
}

// serveWho serves until the process ends.
func serveWho(p *ZooKeeperRegisterPlugin, o childOptions) error {
	_, addr, _ := strings.Cut(o.Listen, "@")
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	s := server.NewServer()
	WithServer(s)(p)
	s.Plugins.Add(p)
	if err := s.RegisterName("Who", who(n), o.Metadata); err != nil {
		return err
	}
	go func() { fmt.Fprintln(os.Stderr, s.Serve("tcp", addr)) }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return p.WaitRegistered(ctx)
}

// childSession is longer than anything that these tests do at once, and short enough to be waited for.
const childSession = 4 * time.Second

// childProcess is a running one. It dies with the test.
type childProcess struct {
	t       *testing.T
	options childOptions
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

func startChild(t *testing.T, o childOptions) *childProcess {
	t.Helper()
	config, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childConfig+"="+string(config))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &childProcess{t, o, cmd, in, bufio.NewReader(out)}
	t.Cleanup(func() {
		c.kill()
		_ = in.Close()
	})
	return c
}

// kill is kill -9.
func (c *childProcess) kill() {
	_ = c.cmd.Process.Kill() // it may be dead already
	_ = c.cmd.Wait()
}

// do tells the process to do something, and wants it to be done.
func (c *childProcess) do(what string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, what); err != nil {
		c.t.Fatal(err)
	}
	answer, err := c.out.ReadString('\n')
	if err != nil || answer != "<nil>\n" {
		c.t.Fatalf("%s: %q, %v", what, answer, err)
	}
}
