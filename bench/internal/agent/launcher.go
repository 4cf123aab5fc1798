package agent

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
)

//go:embed CuratorAgent.java
var curatorAgent []byte

// Launcher starts agents.
type Launcher struct {
	java      string
	classPath string
}

// NewLauncher compiles the agent for Curator into dir. Where Java, its compiler or Curator are missing, the other agents can be started all the
// same, and the error says what is missing.
func NewLauncher(ctx context.Context, dir string) (*Launcher, error) {
	l := new(Launcher)
	classPath, err := curatorClassPath()
	if err != nil {
		return l, err
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return l, errors.New("there is no java on the PATH")
	}
	javac, err := exec.LookPath("javac")
	if err != nil {
		return l, errors.New("there is no javac on the PATH")
	}
	source := filepath.Join(dir, "CuratorAgent.java")
	if err := os.WriteFile(source, curatorAgent, 0o600); err != nil {
		return l, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, javac, "-cp", classPath, "-d", dir, source).CombinedOutput() //nolint:gosec // as documented
	if err != nil {
		return l, fmt.Errorf("javac: %w: %s", err, strings.TrimSpace(string(out)))
	}
	l.java, l.classPath = java, dir+string(os.PathListSeparator)+classPath
	return l, nil
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
func (l *Launcher) Has(name string) bool { return name != contender.Curator || l.java != "" }

// Start starts an agent. It ends with ctx, with Close, or with this process.
func (l *Launcher) Start(ctx context.Context, name string) (*Process, error) {
	if name != contender.Curator {
		return startGo(ctx, name)
	}
	if l.java == "" {
		return nil, errors.New("curator is not installed")
	}
	return start(exec.CommandContext(ctx, l.java, "-XX:+UseSerialGC", "-Xms256m", "-cp", l.classPath, "CuratorAgent"), name) //nolint:gosec // as documented
}
