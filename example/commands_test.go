package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// The programs to copy from, as a user runs them: two servers, of which one is killed, and clients, of which one starts without ZooKeeper.
func TestServerAndClientWorkAsTheyAreToBeCopied(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "./server", "./client").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	zk := zktest.NewServer(zktest.WithSessionTimeouts(time.Second, 3*time.Second)) // to come back within, after a restart
	defer zk.Close()
	if err := zk.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	at, cache := zk.Addr(), t.TempDir()

	first, second := start(t, bin, "server", "-zk", at, "-addr", "127.0.0.1:0"), start(t, bin, "server", "-zk", at, "-addr", "127.0.0.1:0")
	addr := [2]string{address(first.saying("serving at ")), address(second.saying("serving at "))}
	first.saying("INFO registered")
	second.saying("INFO registered")
	client := start(t, bin, "client", "-zk", at, "-cache", cache)
	client.saying("live, 2 instances")
	client.saying("from " + addr[0])
	client.saying("from " + addr[1])

	_ = first.end(syscall.SIGKILL) // which is the error
	for {
		if nodes, err := zk.Children("/rpcx/Greeter"); err == nil && len(nodes) == 1 { // its session has expired
			break
		}
		client.saying("Hello") // and meanwhile calls go on
	}
	await(t, "the second server alone in the cache file", func() bool {
		files, _ := filepath.Glob(filepath.Join(cache, "*", "rpcx", "Greeter*", "list.json"))
		if len(files) != 1 {
			return false
		}
		b, err := os.ReadFile(files[0])
		return err == nil && strings.Contains(string(b), addr[1]) && !strings.Contains(string(b), addr[0])
	})

	zk.Stop()
	client.saying("keeping the last list")
	client.saying("from " + addr[1])
	late := start(t, bin, "client", "-zk", at, "-cache", cache)
	late.saying("file, 1 instances")
	late.saying("from " + addr[1])

	if err := zk.Start(); err != nil {
		t.Fatal(err)
	}
	second.saying("INFO connected") // or it could not say goodbye
	client.saying("list is live")
	late.saying("list is live")
	for _, p := range []*process{client, late, second} {
		if err := p.end(syscall.SIGTERM); err != nil {
			t.Errorf("%v: %v\n%s", p.Args, err, p.log.String())
		}
		if log := p.log.String(); strings.Contains(log, "call failed") {
			t.Errorf("a call failed:\n%s", log)
		}
	}
	if nodes, err := zk.Children("/rpcx/Greeter"); err != nil || len(nodes) > 0 {
		t.Errorf("left in ZooKeeper: %q (%v)", nodes, err)
	}
}

func address(line string) string {
	_, rest, _ := strings.Cut(line, "serving at ")
	return rest
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// V6: go run ./example | head left a directory: SIGPIPE ended the process at once.
func TestAReaderThatHasReadEnoughLeavesNothingBehind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGPIPE")
	}
	bin, tmp := filepath.Join(t.TempDir(), "drill"), t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var stderr strings.Builder
	drill := exec.Command(bin, "-step", "100ms")
	drill.Env, drill.Stderr = append(os.Environ(), "TMPDIR="+tmp), &stderr
	out, err := drill.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := drill.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for line := ""; !strings.Contains(line, "All is well"); {
		if line, err = lines.ReadString('\n'); err != nil {
			break
		}
	}
	if err != nil || out.Close() != nil {
		t.Errorf("%v\n%s", err, &stderr)
	}
	_ = drill.Wait() // which is the status
	if got := drill.ProcessState.ExitCode(); got != statusInterrupted || stderr.Len() > 0 {
		t.Errorf("status %d, saying %q", got, &stderr)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v (%v)", left, err)
	}
}

// process is a program that logs.
type process struct {
	*exec.Cmd
	t     *testing.T
	lines chan string // what it says; closed when it has ended
	log   strings.Builder
}

func start(t *testing.T, bin, name string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(filepath.Join(bin, name), args...), t: t, lines: make(chan string, 10000)}
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stdout = p.Stderr // rpcx logs there
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.end(syscall.SIGKILL)
		}
	})
	return p
}

// saying returns the next line that has a text in it.
func (p *process) saying(text string) string {
	p.t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		select {
		case line, ok := <-p.lines:
			p.log.WriteString(line + "\n")
			if strings.Contains(line, text) {
				return line
			}
			if ok {
				continue
			}
		case <-limit.C:
		}
		p.t.Fatalf("%v does not say %q:\n%s", p.Args, text, p.log.String())
	}
}

// end ends the process with a signal, and returns how it ended.
func (p *process) end(signal os.Signal) error {
	if err := p.Process.Signal(signal); err != nil {
		return err
	}
	for line := range p.lines {
		p.log.WriteString(line + "\n")
	}
	return p.Wait()
}
