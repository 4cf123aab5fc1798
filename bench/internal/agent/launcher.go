package agent

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
)

//go:embed CuratorAgent.java
var curatorAgent []byte

// Launcher starts agents.
type Launcher struct {
	java      string // "": there is no Curator
	classPath string
	dubboGo   string // its program; "": there is none
}

// NewLauncher compiles the agents that are no part of this program into dir. Where something for that is missing, the other agents can be started all
// the same, and an error says who is left out, and why.
func NewLauncher(ctx context.Context, dir string) (l *Launcher, missing []error) {
	l = new(Launcher)
	if err := l.compileCurator(ctx, dir); err != nil {
		missing = append(missing, fmt.Errorf("%s is left out: %w", contender.Curator, err))
	}
	if err := l.buildDubboGo(ctx, dir); err != nil {
		missing = append(missing, fmt.Errorf("%s is left out: %w", contender.DubboGo, err))
	}
	return l, missing
}

func (l *Launcher) compileCurator(ctx context.Context, dir string) error {
	classPath, err := curatorClassPath()
	if err != nil {
		return err
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return errors.New("there is no java on the PATH")
	}
	javac, err := exec.LookPath("javac")
	if err != nil {
		return errors.New("there is no javac on the PATH")
	}
	source := filepath.Join(dir, "CuratorAgent.java")
	if err := os.WriteFile(source, curatorAgent, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, javac, "-cp", classPath, "-d", dir, source).CombinedOutput() //nolint:gosec // as documented
	if err != nil {
		return fmt.Errorf("javac: %w: %s", err, strings.TrimSpace(string(out)))
	}
	l.java, l.classPath = java, dir+string(os.PathListSeparator)+classPath
	return nil
}

// dubboGoLimit is for a machine that must fetch and compile all that dubbo-go needs.
const dubboGoLimit = 5 * time.Minute

// buildDubboGo builds the module that stands beside the source of this one.
func (l *Launcher) buildDubboGo(ctx context.Context, dir string) error {
	_, here, _, _ := runtime.Caller(0)
	source := filepath.Join(filepath.Dir(here), "..", "..", "dubbogo")
	if _, err := os.Stat(filepath.Join(source, "go.mod")); err != nil || !filepath.IsAbs(source) {
		return errors.New("its source is not on this machine")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		return errors.New("there is no go on the PATH")
	}
	program := filepath.Join(dir, "dubbogo")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	ctx, cancel := context.WithTimeout(ctx, dubboGoLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, "build", "-o", program, ".") //nolint:gosec // as documented
	cmd.Dir = source
	cmd.WaitDelay = time.Second // for its compilers, which are processes of their own
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, strings.TrimSpace(string(out)))
	}
	l.dubboGo = program
	return nil
}

// curatorClassPath has the jars of Debian's packages libcurator-recipes-java and zookeeper, and what they need.
func curatorClassPath() (string, error) {
	const jars = "/usr/share/java"
	var paths []string
	for _, name := range []string{
		"curator-recipes", "curator-framework", "curator-client", "zookeeper", "zookeeper-jute", "guava", "slf4j-api", "slf4j-nop",
	} {
		path := filepath.Join(jars, name+".jar")
		if _, err := os.Stat(path); err != nil {
			if strings.HasPrefix(name, "curator") {
				return "", fmt.Errorf("there is no %s (Debian, Ubuntu: apt-get install libcurator-recipes-java)", path)
			}
			continue // named by the manifests where a distribution has other names
		}
		paths = append(paths, path)
	}
	return strings.Join(paths, string(os.PathListSeparator)), nil
}

// Has reports whether a contender can be started here.
func (l *Launcher) Has(name string) bool {
	switch name {
	case contender.Curator:
		return l.java != ""
	case contender.DubboGo:
		return l.dubboGo != ""
	}
	return true
}

// Start starts an agent. It ends with ctx, with Close, or with this process.
func (l *Launcher) Start(ctx context.Context, name string) (*Process, error) {
	if !l.Has(name) {
		return nil, fmt.Errorf("%s is left out", name)
	}
	switch name {
	case contender.Curator:
	case contender.DubboGo:
		return startGo(ctx, l.dubboGo, name)
	default:
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return startGo(ctx, self, name)
	}
	return start(exec.CommandContext(ctx, l.java, "-XX:+UseSerialGC", "-Xms256m", "-cp", l.classPath, "CuratorAgent"), name) //nolint:gosec // as documented
}
