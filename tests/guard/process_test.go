package guard

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallnest/rpcx/server"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
)

// serversOf makes this test binary a process with rpcx servers in it, each registered by a plugin of its own: "count base zookeeper".
const serversOf = "HOLDFAST_TEST_SERVERS"

// serverProcess is such a process.
type serverProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
	once  sync.Once
}

// startServers starts a process with n servers, and returns when all are registered. It is killed with the test.
func startServers(t *testing.T, n int, base string, zooKeepers []string) *serverProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s %s", serversOf, n, base, strings.Join(zooKeepers, ",")))
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	harness.Must(t, err)
	stdout, err := cmd.StdoutPipe()
	harness.Must(t, err)
	harness.Must(t, cmd.Start())
	p := &serverProcess{t: t, cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout)}
	t.Cleanup(p.kill)
	p.says("ready")
	return p
}

// says waits for a line.
func (p *serverProcess) says(want string) {
	p.t.Helper()
	if !p.lines.Scan() || p.lines.Text() != want {
		p.t.Fatalf("the servers' process says %q, not %q", p.lines.Text(), want)
	}
}

// kill is kill -9: nobody closes a session or says goodbye.
func (p *serverProcess) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // tells that it was killed
	})
}

// drain takes all servers out of service, and returns when they are.
func (p *serverProcess) drain() {
	p.t.Helper()
	_, err := fmt.Fprintln(p.stdin, "drain")
	harness.Must(p.t, err)
	p.says("drained")
}

// beServers is that process: it lives until it is killed, or whoever has started it is gone.
func beServers(spec string) int {
	var n int
	var base, zooKeepers string
	if _, err := fmt.Sscan(spec, &n, &base, &zooKeepers); err != nil {
		fmt.Fprintln(os.Stderr, spec, err)
		return 1
	}
	plugins := make([]*serverplugin.ZooKeeperRegisterPlugin, n)
	for i := range plugins {
		p, err := beServer(base, strings.Split(zooKeepers, ","))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		plugins[i] = p
	}
	for _, p := range plugins {
		for !p.Registered() {
			time.Sleep(time.Millisecond)
		}
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var all sync.WaitGroup
		for _, p := range plugins {
			all.Go(func() {
				if err := p.Drain(context.Background()); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			})
		}
		all.Wait()
		fmt.Println("drained")
	}
	return 0
}

func beServer(base string, zooKeepers []string) (*serverplugin.ZooKeeperRegisterPlugin, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := serverplugin.NewZooKeeperRegisterPlugin(
		serverplugin.WithZKServiceAddress("tcp@"+ln.Addr().String()), serverplugin.WithZKServersAddress(zooKeepers),
		serverplugin.WithZKBasePath(base), serverplugin.WithSessionTimeout(harness.RealSession))
	if err := p.Start(); err != nil {
		return nil, err
	}
	s := server.NewServer()
	s.Plugins.Add(p)
	if err := s.RegisterName("Arith", harness.Arith{}, ""); err != nil {
		return nil, err
	}
	go func() { _ = s.ServeListener("tcp", ln) }() // ends with the process
	return p, nil
}
