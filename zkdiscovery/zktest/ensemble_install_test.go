package zktest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestEnsembleSaysWhatToInstall(t *testing.T) {
	t.Run("ZooKeeper", func(t *testing.T) {
		t.Setenv("ZOOKEEPER_HOME", t.TempDir())
		saysWhatToInstall(t)
	})
	t.Run("Java", func(t *testing.T) {
		t.Setenv("ZOOKEEPER_HOME", distribution(t, "zookeeper-3.8.0.jar"))
		t.Setenv("JAVA_HOME", "")
		t.Setenv("PATH", "")
		saysWhatToInstall(t)
	})
}

func TestEnsembleIsSkippedWithoutZooKeeperUnlessRequired(t *testing.T) {
	t.Setenv("ZOOKEEPER_HOME", t.TempDir())
	for required, want := range map[string]string{"": "skipped", "required": "failed"} {
		t.Setenv("HOLDFAST_REAL_ZOOKEEPER", required)
		tb := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			zktest.StartEnsemble(tb, 1)
		}()
		if <-done; tb.outcome != want {
			t.Errorf("HOLDFAST_REAL_ZOOKEEPER=%q: %q, want %q", required, tb.outcome, want)
		}
	}
}

func TestEnsembleFindsAnApacheDistribution(t *testing.T) {
	requireInstalled(t)
	t.Setenv("ZOOKEEPER_HOME", "")
	debian, err := filepath.EvalSymlinks("/usr/share/java/zookeeper.jar")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("made of Debian's jars, which are not here")
	}
	must(t, err)
	home := distribution(t)
	for link, jar := range map[string]string{"zookeeper-3.8.0.jar": debian, "slf4j.jar": "/usr/share/java/slf4j-simple.jar"} {
		must(t, os.Symlink(jar, filepath.Join(home, "lib", link)))
	}
	e := zktest.StartEnsemble(t, 1)
	startedFrom := func(jar string) {
		t.Helper()
		if envi, err := e.Command(0, "envi"); err != nil || !strings.Contains(envi, jar) {
			t.Errorf("%v, not started from %s:\n%s", err, jar, envi)
		}
	}
	ours := filepath.Join(home, "lib", "zookeeper-3.8.0.jar")
	startedFrom("/usr/share/java/zookeeper.jar")
	must(t, e.Upgrade(0, home))
	startedFrom(ours)
	must(t, e.Restart(0))
	startedFrom(ours)
	if err := e.Upgrade(0, t.TempDir()); !errors.Is(err, zktest.ErrNotInstalled) {
		t.Errorf("to nothing: %v", err)
	}
	startedFrom(ours)
	must(t, e.Upgrade(0, ""))
	startedFrom("/usr/share/java/zookeeper.jar")

	t.Setenv("ZOOKEEPER_HOME", home)
	e = zktest.StartEnsemble(t, 1)
	startedFrom(ours)
}

// distribution makes a directory laid out as Apache's, with empty jars of the given names.
func distribution(t *testing.T, jars ...string) string {
	t.Helper()
	home := t.TempDir()
	for _, dir := range []string{"conf", "lib"} {
		must(t, os.Mkdir(filepath.Join(home, dir), 0o700))
	}
	for _, jar := range jars {
		must(t, os.WriteFile(filepath.Join(home, "lib", jar), nil, 0o600))
	}
	return home
}

func saysWhatToInstall(t *testing.T) {
	t.Helper()
	_, err := zktest.NewEnsemble(1)
	if !errors.Is(err, zktest.ErrNotInstalled) || !strings.Contains(err.Error(), "apt-get install zookeeper") {
		t.Error(err)
	}
}

// recorder is a test that notes how it ended.
type recorder struct {
	testing.TB
	outcome string
}

func (r *recorder) Skip(...any) {
	r.outcome = "skipped"
	runtime.Goexit()
}

func (r *recorder) Fatal(...any) {
	r.outcome = "failed"
	runtime.Goexit()
}
