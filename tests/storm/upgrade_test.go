package storm

import (
	"errors"
	"flag"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/internal/impatient"
	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var upgrade = flag.String("upgrade", "", "two or more ZOOKEEPER_HOMEs, oldest version first, with spaces between them; \"installed\" is the one without a ZOOKEEPER_HOME")

// patient is a session that outlives an election on a busy machine.
const patient = 20 * time.Second

// TestRollingUpgrade replaces the servers of an ensemble one after the other by those of a later version, from each of -upgrade to each one behind it.
// Meanwhile servers are registered, and an XClient calls them.
func TestRollingUpgrade(t *testing.T) {
	homes := strings.Fields(*upgrade)
	if len(homes) < 2 {
		t.Skip("it needs -upgrade with two ZooKeepers or more, as make compat gives it")
	}
	t.Setenv("HOLDFAST_WIRE", "")
	for i, from := range homes {
		for _, to := range homes[i+1:] {
			t.Run(filepath.Base(from)+" to "+filepath.Base(to), func(t *testing.T) {
				t.Setenv("ZOOKEEPER_HOME", home(from))
				rollingUpgrade(t, home(to))
			})
		}
	}
}

func home(name string) string {
	if name == "installed" {
		return ""
	}
	return name
}

func rollingUpgrade(t *testing.T, to string) {
	// A server of 3.4 that has not written a snapshot yet leaves nothing that a later version starts from without this.
	e := zktest.StartEnsemble(t, 3, zktest.WithConfigLines("snapshot.trust.empty=true"))
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	want := make(map[string]bool)
	for range servers {
		want[instance(t, e.Servers(), log, patient)] = true
	}
	eventually := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not within a minute: " + what)
			}
		}
	}
	var first map[string]registration
	eventually("all registered", func() bool { first = registered(t, e.Servers()); return len(first) == servers })
	d, err := zkdiscovery.New("rpcx", "Arith", e.Servers(), zkdiscovery.WithoutCache(), zkdiscovery.WithoutGuard(),
		zkdiscovery.WithSessionTimeout(patient), zkdiscovery.WithStartTimeout(time.Minute), zkdiscovery.WithLogger(log))
	harness.Must(t, err)
	t.Cleanup(d.Close)
	watcher := harness.WithoutZooKeeper(t).Follow(d)
	load := harness.UnderLoad(t, "failfast", d, client.Failfast)
	whole := func() bool {
		have := make(map[string]bool)
		for _, p := range d.GetServices() {
			have[p.Key] = true
		}
		return d.Snapshot().Source == zkdiscovery.Live && maps.Equal(have, want)
	}
	eventually("a whole list", whole)

	leader, err := e.Leader()
	harness.Must(t, err)
	for n := range 3 { // the leader comes last
		i := (leader + 1 + n) % 3
		t.Logf("server %d, until now %s", i, version(t, e, i))
		harness.Must(t, e.Upgrade(i, to))
		t.Logf("server %d is %s; the client: %v", i, version(t, e, i), d.Status())
		want[instance(t, e.Servers(), log, patient)] = true
		eventually("a list with the newest instance", whole)
	}
	last := registered(t, e.Servers())
	for key, owner := range first {
		if diff := cmp.Diff(owner, last[key]); diff != "" {
			t.Errorf("the registration of %s is another one (-before +after):\n%s", key, diff)
		}
	}
	watcher.NeverFewer(servers)
	if calls, failures := load.Stop(); failures > 0 || calls == 0 {
		_, err := load.Failures()
		t.Errorf("%d of %d calls failed: %v", failures, calls, err)
	} else {
		t.Logf("%d calls; %d lists; in the end %v", calls, len(watcher.Heard()), d.Status())
	}
	if st := d.Status(); st.Sessions != 1 || st.Mended > 0 {
		t.Errorf("%d sessions, %d changes of which no watch had told", st.Sessions, st.Mended)
	}
}

// version is that of server i.
func version(t *testing.T, e *zktest.Ensemble, i int) string {
	t.Helper()
	answer, err := e.Command(i, "srvr")
	harness.Must(t, err)
	line, _, _ := strings.Cut(answer, "\n")
	return line
}

// registration is what becomes another one when a node is made anew.
type registration struct{ Czxid, Owner int64 }

// registered are the nodes of the service.
func registered(t *testing.T, servers []string) map[string]registration {
	t.Helper()
	c, _, err := zk.Connect(servers, patient, zk.WithLogInfo(false), zk.WithLogger(quiet{}), zk.WithDialer(impatient.Dial))
	harness.Must(t, err)
	defer c.Close()
	keys, _, err := c.Children("/rpcx/Arith")
	if !errors.Is(err, zk.ErrNoNode) {
		harness.Must(t, err)
	}
	nodes := make(map[string]registration)
	for _, key := range keys {
		_, st, err := c.Exists("/rpcx/Arith/" + key)
		harness.Must(t, err)
		nodes[key] = registration{st.Czxid, st.EphemeralOwner}
	}
	return nodes
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
