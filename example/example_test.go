package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/log"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestMain(m *testing.M) {
	log.SetDummyLogger() // as main does
	goleak.VerifyTestMain(m)
}

// story are lines that the drill tells, in this order, whatever it is held on.
var story = []string{
	`^The outage drill: on .* ZooKeeper`,
	`^All is well$`,
	`client +has the list: A B C `,
	`calls +.* calls, none failed: `,
	`^A server dies$`,
	`client +has the list: B C `,
	`^A server joins$`,
	`client +has the list: B C D `,
	`^A weight changes$`,
	`client +has the list: B C D×6 `,
	`^ZooKeeper goes away$`,
	`client +has lost ZooKeeper, keeps the list: B C D×6 `,
	`^A second client starts`,
	`client 2 +has the list, from the file: B C D×6 `,
	`^A server dies, which no list says$`,
	`client.* +keeps away from B: (no answer|dial failed) `,
	`calls +.* calls, none failed: `,
	`^ZooKeeper returns, sessions expired$`,
	`ZooKeeper +is back; all sessions have expired`,
	`^All is well again$`,
	`calls +.* calls, none failed: `,
	`^Calls +made +failed`,
	`^Time to notice$`,
	`^Promises$`,
	`; every promise was kept$`,
	`^Shown: calls go on without ZooKeeper\. To copy: example/server, example/client$`,
}

// hold runs the program as from a command line, in a temporary directory of its own, which it must leave empty.
func hold(t *testing.T, ctx context.Context, out io.Writer, args ...string) (status int, stderr string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var errs bytes.Buffer
	status = run(ctx, args, out, &errs)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v (%v)", left, err)
	}
	return status, errs.String()
}

// tellsTheStory holds the drill and compares what it says and how it ends.
func tellsTheStory(t *testing.T, args ...string) {
	t.Helper()
	var out bytes.Buffer
	status, stderr := hold(t, t.Context(), &out, slices.Concat([]string{"-step", "250ms"}, args)...)
	t.Logf("%s%s", &out, stderr)
	if status != 0 || stderr != "" {
		t.Errorf("status %d, want 0, with nothing said on standard error", status)
	}
	fits(t, out.String())
	lines := strings.Split(out.String(), "\n")
	for _, want := range story {
		i := slices.IndexFunc(lines, regexp.MustCompile(want).MatchString)
		if i < 0 {
			t.Fatalf("no line like %q, or not in its place", want)
		}
		lines = lines[i+1:]
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("colours, and no terminal")
	}
}

func TestDrillKeepsThePromises(t *testing.T) {
	tellsTheStory(t)
}

// As on a real ZooKeeper, which the drill cannot stop, but without one. It is named twice, as an ensemble's servers are, and has a chroot.
func TestDrillThroughProxiesLeavesNothingInZooKeeper(t *testing.T) {
	s := chrooted(t)
	before := slices.Sorted(maps.Keys(s.Tree()))
	tellsTheStory(t, "-zk", s.Addr()+","+s.Addr()+"/prod")
	if diff := cmp.Diff(before, slices.Sorted(maps.Keys(s.Tree()))); diff != "" {
		t.Errorf("the tree, -before +after\n%s", diff)
	}
}

func TestDrillOnRealZooKeeper(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	tellsTheStory(t, "-zk", e.Servers()[0])
	conn, events, err := zk.Connect(e.Servers(), 5*time.Second, zk.WithLogger(quiet{}), zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		conn.Close()
		for range events { // until go-zookeeper has ended
		}
	}()
	left, _, err := conn.Children("/")
	if diff := cmp.Diff([]string{"zookeeper"}, left); diff != "" || err != nil {
		t.Errorf("children of /: error %v, -want +got\n%s", err, diff)
	}
}

func TestInterruptEndsTheDrillAndTidiesUp(t *testing.T) {
	for _, c := range []struct {
		proxied bool
		after   string // of what the drill says
	}{
		{false, "has the list: A B C"},
		{false, "is killed, and its session ends"},
		{false, "cannot know"},
		{true, "keeps the list"}, // the servers' nodes are there, and cannot be reached the usual way
	} {
		t.Run(c.after, func(t *testing.T) {
			s, args := chrooted(t), []string{"-step", "250ms"}
			if c.proxied {
				args = append(args, "-zk", s.Addr()+"/prod")
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var interrupted time.Time
			out := writerFunc(func(p []byte) (int, error) {
				if bytes.Contains(p, []byte(c.after)) {
					interrupted = time.Now()
					cancel()
				}
				return len(p), nil
			})
			status, stderr := hold(t, ctx, out, args...)
			if took := time.Since(interrupted); interrupted.IsZero() || took > 10*time.Second {
				t.Errorf("ended after %v", took)
			}
			if status != statusInterrupted || stderr != "example: interrupted\n" {
				t.Errorf("status %d, saying %q", status, stderr)
			}
			if diff := cmp.Diff([]string{"/", "/prod"}, slices.Sorted(maps.Keys(s.Tree()))); diff != "" {
				t.Errorf("the tree, -want +got\n%s", diff)
			}
		})
	}
}

func TestAnOutputThatIsGoneEndsTheDrillAndTidiesUp(t *testing.T) {
	for err, want := range map[error]struct {
		status int
		stderr string
	}{
		syscall.EPIPE:  {statusInterrupted, ""},
		syscall.ENOSPC: {statusBroken, "example: no space left on device\n"},
	} {
		t.Run(err.Error(), func(t *testing.T) {
			out := writerFunc(func(p []byte) (int, error) {
				if bytes.Contains(p, []byte("A server dies")) {
					return 0, err
				}
				return len(p), nil
			})
			status, stderr := hold(t, t.Context(), out, "-step", "100ms")
			if status != want.status || stderr != want.stderr {
				t.Errorf("status %d, saying %q", status, stderr)
			}
		})
	}
}

func TestZooKeeperThatDoesNotAnswerIsOneLine(t *testing.T) {
	s := chrooted(t)
	addr := s.Addr()
	s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	status, stderr := hold(t, ctx, io.Discard, "-zk", addr)
	if status != statusBroken || stderr != "example: no ZooKeeper answers at "+addr+"\n" {
		t.Errorf("status %d, saying %q", status, stderr)
	}
}

func TestBadArgumentsAreOneLineAndStatus2(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-step", "1ms"}, "-step 1ms: at least 100ms"},
		{[]string{"-step", "soon"}, `invalid value "soon" for flag -step`},
		{[]string{"-colour"}, "flag provided but not defined: -colour"},
		{[]string{"-lang", "de"}, `-lang "de": en and zh are there`},
		{[]string{"now"}, `unexpected argument "now"`},
		{[]string{"-zk", "localhost"}, `"localhost" is not host:port`},
		{[]string{"-zk", "a:2181,"}, `"" is not host:port`},
		{[]string{"-zk", ":2181"}, `":2181" is not host:port`},
		{[]string{"-zk", "a:2181/prod,b:2181"}, `"a:2181/prod" is not host:port`},
	} {
		var out bytes.Buffer
		status, stderr := hold(t, t.Context(), &out, c.args...)
		if status != statusUsage || out.Len() > 0 {
			t.Errorf("%q: status %d, output %q", c.args, status, &out)
		}
		if !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: %q, want one line with %q", c.args, stderr, c.want)
		}
	}
}

func TestHelpExplainsTheFlags(t *testing.T) {
	status, stderr := hold(t, t.Context(), io.Discard, "-h")
	if status != 0 || !strings.Contains(stderr, "-zk") || !strings.Contains(stderr, "-step") || !strings.Contains(stderr, "用中文讲述") {
		t.Errorf("status %d, saying %q", status, stderr)
	}
}

// chrooted is a ZooKeeper with a node for a chroot.
func chrooted(t *testing.T) *zktest.Server {
	t.Helper()
	s := zktest.Start(t, zktest.WithTick(sessionTimeout/4))
	if err := s.Put("/prod", nil); err != nil {
		t.Fatal(err)
	}
	return s
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
