package zktest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// patience bounds what takes milliseconds on an idle machine.
const patience = 20 * time.Second

func TestEnsembleServesAClientAndForgetsWhenWiped(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	conn := connect(t, e.Servers())
	if _, err := conn.Create("/kept", []byte("over a kill"), 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}

	must(t, e.Kill(0))
	refuses(t, e.Servers()[0])
	must(t, e.Kill(0)) // the dead may be killed
	must(t, e.Restart(0))
	if data, _, err := connect(t, e.Servers()).Get("/kept"); err != nil || string(data) != "over a kill" {
		t.Errorf("after a kill and a restart: %q, %v", data, err)
	}

	servers := e.Servers()
	must(t, e.Wipe())
	if !slices.Equal(servers, e.Servers()) {
		t.Errorf("a wipe moved the servers from %v to %v", servers, e.Servers())
	}
	if exists, _, err := connect(t, e.Servers()).Exists("/kept"); err != nil || exists {
		t.Errorf("after a wipe: exists %v, %v", exists, err)
	}
}

func TestEnsemblePausedServerIsSilentUntilResumed(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	for range 20 { // an answer that slips out after Pause is rare
		must(t, e.Pause(0))
		conn := dial(t, e.Servers()[0]) // the kernel accepts
		if _, err := conn.Write([]byte("srvr")); err != nil {
			t.Fatal(err)
		}
		must(t, conn.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a paused server sent %d bytes, %v", n, err)
		}

		must(t, e.Resume(0))
		must(t, conn.SetReadDeadline(time.Now().Add(patience)))
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatalf("a resumed server: %v", err)
		}
		conn.Close()
	}
	must(t, e.Pause(0))
	must(t, e.Restart(0))
	if _, err := e.Command(0, "srvr"); err != nil {
		t.Errorf("a paused server that was restarted: %v", err)
	}
}

func TestEnsembleOfThreeOutlivesItsLeader(t *testing.T) {
	e := zktest.StartEnsemble(t, 3)
	first := leader(t, e)
	must(t, e.Kill(first))
	second := leader(t, e)
	if second == first {
		t.Fatalf("server %d leads although it was killed", first)
	}
	must(t, e.Restart(first))

	must(t, e.Pause(second))
	if third := leader(t, e); third == second {
		t.Fatalf("server %d leads although it is paused", second)
	}
	must(t, e.Resume(second))

	must(t, e.StopAll())
	if _, err := e.Leader(); err == nil {
		t.Error("no server runs, and one leads")
	}
	must(t, e.Restart(0)) // cannot serve yet, and that must not take until the timeout
	if _, err := e.Leader(); err == nil || !strings.Contains(err.Error(), "1 of 3") {
		t.Errorf("a third of an ensemble and its leader: %v", err)
	}
	must(t, e.StartAll())
	leader(t, e)
}

func TestEnsembleOptionsReachTheServers(t *testing.T) {
	var log bytes.Buffer
	e := zktest.StartEnsemble(t, 1, zktest.WithTick(300*time.Millisecond), zktest.WithSessionTimeouts(time.Second, 7*time.Second),
		zktest.WithMaxFrame(2048), zktest.WithConfigLines("maxClientCnxns=7"), zktest.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	conf, err := e.Command(0, "conf")
	must(t, err)
	for _, want := range []string{"tickTime=300", "minSessionTimeout=1000", "maxSessionTimeout=7000", "maxClientCnxns=7"} {
		if !slices.Contains(strings.Split(conf, "\n"), want) {
			t.Errorf("%s is not in:\n%s", want, conf)
		}
	}
	conn := connect(t, e.Servers())
	if _, err := conn.Create("/small", make([]byte, 1000), 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Errorf("1000 bytes: %v", err)
	}
	if _, err := conn.Create("/large", make([]byte, 3000), 0, zk.WorldACL(zk.PermAll)); !errors.Is(err, zk.ErrConnectionClosed) {
		t.Errorf("3000 bytes: %v", err)
	}
	must(t, e.Pause(0))
	must(t, e.Resume(0))
	must(t, e.Kill(0))
	for _, want := range []string{"started", "paused", "resumed", "killed"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, log.String())
		}
	}
}

func TestEnsembleReportsAllMistakesAtOnce(t *testing.T) {
	_, err := zktest.NewEnsemble(2, zktest.WithTick(-1), zktest.WithConfigLines("fine=1", "not fine", "two=1\nlines=2"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"1 or 3", "tick", `"not fine"`, `"two=1\nlines=2"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in: %v", want, err)
		}
	}
}

func TestEnsembleThatDiesAtTheStartShowsItsLog(t *testing.T) {
	requireInstalled(t)
	start := time.Now()
	_, err := zktest.NewEnsemble(1, zktest.WithConfigLines("tickTime=soon"))
	if err == nil || !strings.Contains(err.Error(), `"soon"`) {
		t.Errorf("the error does not show what Java says: %v", err)
	}
	if took := time.Since(start); took > patience {
		t.Errorf("it took %v to notice", took)
	}
}

func TestEnsembleGivesJavaItsOptions(t *testing.T) {
	requireInstalled(t)
	_, err := zktest.NewEnsemble(1, zktest.WithJavaOptions("-Xmx96m", "-XX:+NoSuchOption"))
	if err == nil || !strings.Contains(err.Error(), "NoSuchOption") {
		t.Errorf("Java does not refuse what it does not know: %v", err)
	}
}

func TestEnsembleCloseEndsEverything(t *testing.T) {
	e := zktest.StartEnsemble(t, 3)
	leader(t, e)
	conf, err := e.Command(0, "conf")
	must(t, err)
	_, dir, _ := strings.Cut(conf, "dataDir=")
	dir, _, _ = strings.Cut(dir, "/server0")
	must(t, e.StopAll())
	must(t, e.Restart(0))

	waiting := make(chan error)
	go func() { waiting <- e.StartAll() }()
	must(t, e.Close())
	if err := <-waiting; err == nil {
		t.Error("StartAll succeeded although the ensemble was closed meanwhile")
	}
	must(t, e.Close())
	for _, addr := range e.Servers() {
		refuses(t, addr)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	for _, err := range []error{e.Kill(0), e.Restart(0), e.StartAll(), e.StopAll(), e.Wipe(), e.Kill(3)} {
		if err == nil {
			t.Error("something worked after Close, or on a fourth server of three")
		}
	}
}

// TestEnsembleDiesWithItsProcess is how a test binary that panics or is killed by a timeout used to leave Java behind.
func TestEnsembleDiesWithItsProcess(t *testing.T) {
	if os.Getenv("ZKTEST_DIE_WITH_PARENT") != "" { // the process that is killed below
		e, err := zktest.NewEnsemble(1)
		must(t, err)
		fmt.Println("serving at " + e.Servers()[0])
		select {}
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can tie a child's life to its parent's")
	}
	requireInstalled(t)
	temp := t.TempDir() // nobody removes the ensemble's directory
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEnsembleDiesWithItsProcess$")
	parent.Env = append(os.Environ(), "ZKTEST_DIE_WITH_PARENT=1", "TMPDIR="+temp)
	out, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	addr := ""
	for lines := bufio.NewScanner(out); addr == "" && lines.Scan(); {
		_, addr, _ = strings.Cut(lines.Text(), "serving at ")
	}
	must(t, parent.Process.Kill())
	_ = parent.Wait() // "signal: killed"
	if addr == "" {
		t.Fatal("the ensemble did not start")
	}
	for deadline := time.Now().Add(patience); ; {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatalf("%s still serves", addr)
		}
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// connect returns a client with a session.
func connect(t *testing.T, servers []string) *zk.Conn {
	t.Helper()
	conn, events, err := zk.Connect(servers, 10*time.Second, zk.WithLogger(quiet{}))
	must(t, err)
	t.Cleanup(conn.Close)
	deadline := time.After(patience)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return conn
			}
		case <-deadline:
			t.Fatalf("no session with %v", servers)
		}
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	must(t, err)
	return conn
}

func refuses(t *testing.T, addr string) {
	t.Helper()
	if conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr); err == nil {
		conn.Close()
		t.Errorf("%s accepts connections", addr)
	}
}

func leader(t *testing.T, e *zktest.Ensemble) int {
	t.Helper()
	i, err := e.Leader()
	must(t, err)
	return i
}

// requireInstalled is for tests that cannot begin with StartEnsemble.
func requireInstalled(t *testing.T) {
	t.Helper()
	must(t, zktest.StartEnsemble(t, 1).Close())
}
