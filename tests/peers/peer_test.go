package peers

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
)

// Programs that were written for rpcx-zookeeper are built with one import line changed, and run through an outage.
func TestProgramWrittenForRpcxZookeeper(t *testing.T) {
	for program, services := range map[string]int{"xclient": 1, "oneclient": 2} {
		t.Run(program, func(t *testing.T) {
			bin := buildChanged(t, filepath.Join("testdata", "rpcx-zookeeper", program))
			harness.OnTheNetwork(t, func(t *harness.World) {
				b := harness.StartBackend(t)
				for _, service := range []string{"Arith", "Other"} {
					t.Put(t.Service(service)+"/"+b.Key, harness.Metadata)
				}
				base := strings.TrimPrefix(t.Base, "/") // the peer takes it without its slash, too
				first := start(t.T, bin, t.Dir, "-zkAddr", t.Servers()[0], "-base", base)
				first.results(t.T, 5)
				t.Eventually("the files are written", func() bool {
					files, err := filepath.Glob(filepath.Join(t.Dir, "holdfast", "*", base, "*", "list.json"))
					return err == nil && len(files) == services
				})
				t.Stop()
				first.results(t.T, 10)
				second := start(t.T, bin, t.Dir, "-zkAddr", t.Servers()[0], "-base", base)
				second.results(t.T, 5)
				if !second.warned {
					t.Error("the program has given no logger, and says nothing of the outage that it starts in")
				}
				t.Start()
				other := harness.StartBackend(t)
				for _, service := range []string{"Arith", "Other"} {
					t.Put(t.Service(service)+"/"+other.Key, harness.Metadata)
					t.Remove(t.Service(service) + "/" + b.Key)
				}
				b.Stop()
				for _, p := range []*process{first, second} {
					p.untilGood(t.T)
					p.results(t.T, 5)
				}
			})
		})
	}
}

// buildChanged builds the program in dir with its import of rpcx-zookeeper's client replaced by this library's.
func buildChanged(t *testing.T, dir string) (bin string) {
	t.Helper()
	const theirs, ours = `"github.com/rpcxio/rpcx-zookeeper/client"`, `"github.com/holdfast-go/holdfast/zkdiscovery"`
	source, err := filepath.Abs(filepath.Join(dir, "main.go"))
	harness.Must(t, err)
	text, err := os.ReadFile(source)
	harness.Must(t, err)
	if n := strings.Count(string(text), theirs); n != 1 {
		t.Fatalf("%s imports rpcx-zookeeper %d times", source, n)
	}
	tmp := t.TempDir()
	changed := filepath.Join(tmp, "main.go")
	harness.Must(t, os.WriteFile(changed, []byte(strings.Replace(string(text), theirs, ours, 1)), 0o600))
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	harness.Must(t, err)
	harness.Must(t, os.WriteFile(filepath.Join(tmp, "overlay.json"), overlay, 0o600))
	bin = filepath.Join(tmp, "program")
	args := []string{"build", "-overlay", filepath.Join(tmp, "overlay.json"), "-o", bin}
	if harness.RaceDetector { // what this test was built from is in the build cache then
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, "./"+dir)...).CombinedOutput(); err != nil {
		t.Fatalf("with its import line changed, %s does not build: %v\n%s", dir, err, out)
	}
	return bin
}

// process is a program that runs, and what it says.
type process struct {
	warned bool        // results has read a warning
	lines  chan string // its reader sends, and closes it when the program has ended
}

// start runs a program until the test ends.
func start(t *testing.T, bin, home string, args ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home)
	r, w, err := os.Pipe()
	harness.Must(t, err)
	cmd.Stdout, cmd.Stderr = w, w
	harness.Must(t, cmd.Start())
	harness.Must(t, w.Close())
	p := &process{lines: make(chan string, 1000)}
	go func() {
		defer close(p.lines)
		defer r.Close()
		for s := bufio.NewScanner(io.TeeReader(r, t.Output())); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // that it was killed
		for range p.lines {
		}
	})
	return p
}

const good = "10 * 20 = 200"

// results reads n lines, all of which must be results, warnings of the library's left out.
func (p *process) results(t *testing.T, n int) {
	t.Helper()
	for n > 0 {
		switch line := p.next(t); {
		case strings.HasSuffix(line, good):
			n--
		case strings.Contains(line, " WARN "):
			p.warned = true
		default:
			t.Fatalf("the program says %q", line)
		}
	}
}

// untilGood reads lines until it has read some results in a row: what was said before is over.
func (p *process) untilGood(t *testing.T) {
	t.Helper()
	end := time.Now().Add(20 * time.Second)
	for row := 0; row < 100; row++ {
		if line := p.next(t); !strings.HasSuffix(line, good) {
			row = -1
		}
		if time.Now().After(end) {
			t.Fatal("the program does not get over the outage")
		}
	}
}

func (p *process) next(t *testing.T) string {
	t.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	select {
	case line, ok := <-p.lines:
		if !ok {
			t.Fatal("the program has ended")
		}
		return line
	case <-timeout.C:
		t.Fatal("the program says nothing")
		return ""
	}
}
