package interop

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	theirclient "github.com/rpcxio/rpcx-zookeeper/client"
)

// What holdfast compare says that rpcx-zookeeper's client lists is what that client does list, and so with ours.
func TestTheCommandKnowsWhatBothClientsList(t *testing.T) {
	command := filepath.Join(t.TempDir(), "holdfast.exe")
	build := exec.Command("go", "build", "-o", command, ".")
	build.Dir = "../../cmd/holdfast" // whose go.work has the library of this tree
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	servers := zktest.StartEnsemble(t, 1).Servers()
	tree := newUI(t, servers).conn
	open, secret := zk.WorldACL(zk.PermAll), zk.DigestACL(zk.PermAll, "some", "body")
	node := func(path, data string, acl []zk.ACL) {
		t.Helper()
		if _, err := tree.Create(path, []byte(data), 0, acl); err != nil {
			t.Fatal(path, err)
		}
	}
	node("/base", "", open)
	for _, tc := range []struct {
		service string
		names   []string
		secret  string // one more, which may not be read
		code    int
	}{
		{"Empty", nil, "", 0},
		{"Usual", []string{"tcp@127.0.0.1:1", "tcp@[2001:db8::1]:2", "quic@host:3"}, "", 0},
		{"Sockets", []string{"tcp@127.0.0.1:1", "unix@%2Frun%2Fa.sock"}, "", 6},
		{"Others", []string{"tcp@127.0.0.1:1", "lock", "tcp @x", "tcp@a%25b"}, "", 6},
		{"Secret", []string{"tcp@127.0.0.1:1"}, "tcp@127.0.0.1:2", 6},
	} {
		t.Run(tc.service, func(t *testing.T) {
			node("/base/"+tc.service, "", open)
			for _, name := range tc.names {
				node("/base/"+tc.service+"/"+name, "weight=1", open)
			}
			if tc.secret != "" {
				node("/base/"+tc.service+"/"+tc.secret, "weight=1", secret)
			}
			var theirs []string
			old, err := theirclient.NewZookeeperDiscovery("base", tc.service, servers, nil)
			if err == nil {
				theirs = keys(old.GetServices())
				old.Close()
			}
			if (err != nil) != (tc.secret != "") {
				t.Errorf("rpcx-zookeeper's client: %v", err)
			}
			now, err := zkdiscovery.New("base", tc.service, servers, zkdiscovery.WithoutCache())
			if err != nil {
				t.Fatal(err)
			}
			defer now.Close()

			cmd := exec.Command(command, "compare", "--zk", servers[0], "--base", "/base", "--service", tc.service, "--json")
			out, err := cmd.Output()
			if code := cmd.ProcessState.ExitCode(); code != tc.code {
				t.Errorf("exit code %d, want %d: %v", code, tc.code, err)
			}
			var said struct {
				Children []struct{ Holdfast, RPCXZooKeeper string }
			}
			if err := json.Unmarshal(out, &said); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var saidOurs, saidTheirs []string
			for _, c := range said.Children {
				if c.Holdfast != "" {
					saidOurs = append(saidOurs, c.Holdfast)
				}
				if c.RPCXZooKeeper != "" {
					saidTheirs = append(saidTheirs, c.RPCXZooKeeper)
				}
			}
			slices.Sort(saidOurs)
			if !slices.Equal(saidTheirs, theirs) {
				t.Errorf("rpcx-zookeeper's client lists %q, compare says %q", theirs, saidTheirs)
			}
			if got := keys(now.GetServices()); !slices.Equal(saidOurs, got) {
				t.Errorf("zkdiscovery lists %q, compare says %q", got, saidOurs)
			}
		})
	}
}
