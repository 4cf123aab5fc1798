package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// TestTheirRegistryTestPassesWithItsImportChanged runs rpcx-zookeeper's own test of its plugin as it is, but for the package that it is about,
// ZooKeeper's address and the server's.
func TestTheirRegistryTestPassesWithItsImportChanged(t *testing.T) {
	t.Parallel()
	changes := strings.NewReplacer(
		"package serverplugin\n", "package changed\n",
		"import (\n", "import (\n\t. \"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin\"\n",
		"127.0.0.1:2181", zktest.StartEnsemble(t, 1).Servers()[0],
		"127.0.0.1:8972", freeAddress(t),
	)
	dir, theirs := t.TempDir(), directory(t, "github.com/rpcxio/rpcx-zookeeper/serverplugin")
	args := []string{"test", "-count=1", "-timeout=1m", "-v", "-run=^TestZookeeperRegistry$"}
	for _, name := range []string{"registry_test.go", "zookeeper_test.go"} {
		source, err := os.ReadFile(filepath.Join(theirs, name))
		if err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(changes.Replace(string(source))), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestZookeeperRegistry") {
		t.Errorf("%v\n%s", err, out)
	}
}
