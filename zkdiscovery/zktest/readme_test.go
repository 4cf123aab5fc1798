package zktest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestMyClient(t *testing.T) {
	zk := zktest.Start(t) // a free port; closed when the test is over
	if err := zk.Put("/rpcx/Arith/tcp@127.0.0.1:8972", nil); err != nil {
		t.Fatal(err)
	}
	d, err := zkdiscovery.New("/rpcx", "Arith", []string{zk.Addr()}, zkdiscovery.WithCacheDir(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()

	zk.Stop() // ZooKeeper dies. Start, Silence, Delay, ExpireAll, Wipe, Rollback, CutAfter …
	if n := len(d.GetServices()); n != 1 {
		t.Errorf("%d servers are left", n)
	}
}

// The test that README.md shows is the one above.
func TestTheReadmeShowsATestThatRuns(t *testing.T) {
	page, err := os.ReadFile("README.md")
	must(t, err)
	code, err := os.ReadFile("readme_test.go")
	must(t, err)
	_, shown, _ := strings.Cut(string(page), "```go\n")
	shown, _, ended := strings.Cut(shown, "```")
	if !ended || !strings.Contains(string(code), shown) {
		t.Errorf("README.md shows another test:\n%s", shown)
	}
}
