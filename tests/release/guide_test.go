//go:build unix

package release

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// step is a block of the guide: what is typed, what is saved, or what is said.
type step struct {
	kind, text string
	file       string // Go: where the page tells to save it
	section    string
}

var (
	blocks = regexp.MustCompile("(?s)```(\\w+)\n(.*?)```\n")
	saveAs = regexp.MustCompile("Save (?:it|this) as `([^`]+)`:\n\n$")
	inline = regexp.MustCompile("`([^`\n]+)`")
)

func guide(t *testing.T) (steps []step, outage string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/getting-started.md")
	must(t, err)
	for part := range strings.SplitSeq(string(text), "\n## ") {
		title, body, _ := strings.Cut(part, "\n")
		if strings.HasSuffix(title, "An outage") {
			outage = body
		}
		for _, m := range blocks.FindAllStringSubmatchIndex(body, -1) {
			s := step{kind: body[m[2]:m[3]], text: body[m[4]:m[5]], section: title}
			if file := saveAs.FindStringSubmatch(body[:m[0]]); file != nil {
				s.file = file[1]
			}
			steps = append(steps, s)
		}
	}
	return steps, outage
}

// typist is a reader at a terminal.
type typist struct {
	t     *testing.T
	env   []string
	dir   string
	ports *strings.Replacer // the guide's for free ones
	runs  map[string]*running
}

// typeIn types a line, and stays where it goes. A program that is run is left running.
func (y *typist) typeIn(line string) string {
	y.t.Helper()
	if program, ok := strings.CutPrefix(line, "go run ./"); ok {
		y.run(program)
		return ""
	}
	cmd := exec.CommandContext(y.t.Context(), "sh", "-c", "set -e\n"+line+"\npwd")
	cmd.Dir, cmd.Env = y.dir, append(os.Environ(), y.env...)
	var diag strings.Builder
	cmd.Stderr = &diag
	out, err := cmd.Output()
	if err != nil {
		y.t.Fatalf("%s: %v\n%s", line, err, &diag)
	}
	said := strings.TrimSuffix(string(out), "\n")
	at := strings.LastIndex(said, "\n") + 1
	y.dir = said[at:]
	return said[:at]
}

// run builds a program and starts it: go run does the same, and would leave its child to the test.
func (y *typist) run(program string) {
	y.t.Helper()
	y.typeIn("go build -o ./" + program + "/run ./" + program)
	r := &running{t: y.t, cmd: exec.Command(filepath.Join(y.dir, program, "run"))}
	r.cmd.Dir = y.dir
	out, err := r.cmd.StdoutPipe()
	must(y.t, err)
	r.cmd.Stderr = r.cmd.Stdout
	must(y.t, r.cmd.Start())
	r.read.Go(func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			r.mu.Lock()
			r.lines = append(r.lines, s.Text())
			r.mu.Unlock()
		}
	})
	y.t.Cleanup(func() { _ = r.interrupt() })
	y.runs[program] = r
}

// running is a program in a terminal of its own.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	read  sync.WaitGroup
	ended bool

	mu    sync.Mutex
	lines []string
	seen  int
}

// says waits for a line with these words, behind those that were waited for before.
func (r *running) says(words string) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r.mu.Lock()
		for r.seen < len(r.lines) {
			r.seen++
			if strings.Contains(r.lines[r.seen-1], words) {
				r.mu.Unlock()
				return
			}
		}
		r.mu.Unlock()
		if time.Now().After(deadline) {
			r.t.Fatalf("%s does not say %q:\n%s", r.cmd.Path, words, r.all())
		}
	}
}

func (r *running) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// interrupt is ^C, and waits for the end.
func (r *running) interrupt() error {
	if r.ended {
		return nil
	}
	r.ended = true
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	r.read.Wait()
	return r.cmd.Wait()
}

// freePort is one that nobody listens at just now.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// A newcomer types what the page shows, and no more. Ports alone are others, so that nothing that runs here is in the way.
func TestGettingStartedWorksAsItIsTyped(t *testing.T) {
	ports := strings.NewReplacer("127.0.0.1:2181", freePort(t), "127.0.0.1:8972", freePort(t))
	y := &typist{t: t, env: proxied(t), dir: t.TempDir(), ports: ports, runs: make(map[string]*running)}
	steps, outage := guide(t)
	last := ""
	for _, s := range steps {
		switch s.kind {
		case "sh":
			for line := range strings.Lines(s.text) {
				line = strings.TrimSpace(line)
				y.typeIn(line)
				if program, ok := strings.CutPrefix(line, "go run ./"); ok {
					last = program
				}
			}
			if last == "zookeeper" {
				y.runs[last].says("ZooKeeper at ")
			}
		case "go":
			if s.file == "" {
				t.Fatalf("%s: where is this program saved?\n%s", s.section, s.text)
			}
			must(t, os.WriteFile(filepath.Join(y.dir, s.file), []byte(y.ports.Replace(s.text)), 0o600))
		case "log", "output":
			for line := range strings.Lines(s.text) {
				y.runs[last].says(strings.TrimSpace(line))
			}
		default:
			t.Errorf("%s: what is done with a block of %s?", s.section, s.kind)
		}
	}
	must(t, y.outage(outage))
}

// outage does what the steps of "An outage" tell, and wants to see what they promise.
func (y *typist) outage(text string) error {
	parts := regexp.MustCompile(`(?m)^\d\. `).Split(text, -1)[1:]
	if len(parts) != 5 {
		return fmt.Errorf("%d steps", len(parts))
	}
	promised := func(step, sign string) (string, error) {
		for _, m := range inline.FindAllStringSubmatch(step, -1) {
			if strings.Contains(m[1], sign) {
				return m[1], nil
			}
		}
		return "", fmt.Errorf("no %q in %s", sign, step)
	}
	stale, err1 := promised(parts[0], "list: stale")
	file, err2 := promised(parts[1], "list: file")
	cat, err3 := promised(parts[2], "cat ")
	start, err4 := promised(parts[3], "go run ./zookeeper")
	live, err5 := promised(parts[3], "list: live")
	alone, err6 := promised(parts[4], "any server")
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return err
	}
	_ = y.runs["zookeeper"].interrupt() // it ends by the signal, which is an error
	before := y.runs["client"]
	before.says(stale)
	_ = before.interrupt()
	y.typeIn("go run ./client")
	now := y.runs["client"]
	now.says(file)
	if list := y.typeIn(cat); !strings.Contains(list, "weight=1") {
		y.t.Errorf("%s: %s", cat, list)
	}
	y.typeIn(start)
	now.says(live)
	for _, r := range []*running{before, now} {
		for line := range strings.Lines(r.all()) {
			if strings.Contains(line, "error: ") && !strings.Contains(line, "error: <nil>") {
				y.t.Errorf("Hello has stopped: %s", line)
			}
		}
	}
	if err := y.runs["server"].interrupt(); err != nil {
		y.t.Errorf("the server: %v\n%s", err, y.runs["server"].all())
	}
	now.says(alone)
	return nil
}
