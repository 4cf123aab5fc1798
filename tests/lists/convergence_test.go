package lists

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/tests/seeds"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// After any history of changes and faults, once ZooKeeper and the network are healthy, every list and every watcher's replica of it equal
// ZooKeeper, and so each other: whether a discovery was cut off in between or not, has a file or none, was there from the beginning or came
// late, has a filter or none. The manner is that of Curator's CuratorCacheConsistency.

func TestConvergence(t *testing.T) {
	runs := 40
	if testing.Short() {
		runs = 8
	}
	for _, seed := range seeds.Of(t.Name(), runs) {
		harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
			h := newHistory(t, seed)
			h.server = zk
			h.begin()
			for range 120 {
				h.change()
				if h.r.IntN(3) == 0 {
					h.fault()
				}
				h.some(h.members[h.r.IntN(len(h.members))])
				h.pass()
			}
			h.heal()
			harness.Pass(10*time.Second + 5*time.Second) // session timeout and one backoff
			h.converged()
			harness.Pass(5 * time.Minute)
			h.heal()
			harness.Pass(time.Second)
			h.converged()
			h.atRest()
		})
	}
}

func TestConvergenceOnRealZooKeeper(t *testing.T) {
	for _, seed := range seeds.Of(t.Name(), 3) {
		harness.OnRealZooKeeper(t, func(t *harness.World, _ *harness.RealZooKeeper) {
			h := newHistory(t, seed)
			h.begin()
			for range 60 {
				h.change()
				if h.r.IntN(6) == 0 {
					h.realFault()
				}
				h.some(h.members[h.r.IntN(len(h.members))])
				time.Sleep(h.upTo(10 * time.Millisecond)) // other timings, not synchronisation
			}
			h.heal()
			h.comes()
			for _, m := range h.members {
				t.Eventually("seed "+fmt.Sprint(seed)+": "+m.name+" is live and equal", func() bool {
					return m.d.Snapshot().Source == zkdiscovery.Live && maps.Equal(harness.Listed(m.d.GetServices()), h.of(m)) && m.watchersAre(h.of(m))
				})
			}
			h.converged()
		})
	}
}

// history is a random one.
type history struct {
	*harness.World
	server  *zktest.Server // nil on real ZooKeeper
	seed    uint64
	r       *rand.Rand
	began   time.Time
	lines   []string
	counter int

	nodes     map[string]string // what ZooKeeper has below the service: the model
	exists    bool              // the service's own node
	written   map[string]bool   // every key and value that there ever was
	backup    *history          // what a checkpoint has kept
	trouble   trouble
	members   []*member
	templates []*zkdiscovery.Discovery
}

// member is one discovery, and who listens to it.
type member struct {
	name     string
	d        *zkdiscovery.Discovery
	way      *harness.Dialer // nil: cannot be cut off by itself
	odd      bool            // filters: only odd instances
	cached   bool
	replicas []*harness.Replica
}

func newHistory(t *harness.World, seed uint64) *history {
	h := &history{
		World: t, seed: seed, r: rand.New(rand.NewPCG(seed, 0)), began: time.Now(),
		nodes: make(map[string]string), written: make(map[string]bool),
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		name := filepath.Join(t.ArtifactDir(), fmt.Sprintf("history-%d.txt", seed))
		if err := os.WriteFile(name, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600); err != nil {
			t.Error(err)
		}
		t.Logf("HOLDFAST_SEED=%d go test -run '%s' ./tests/lists -artifacts; history in %s", seed, t.Name(), name)
	})
	return h
}

func (h *history) note(format string, args ...any) {
	h.lines = append(h.lines, fmt.Sprintf("%12v ", time.Since(h.began))+fmt.Sprintf(format, args...))
}

// begin makes the first members; more come later.
func (h *history) begin() {
	h.Put(h.Base, "")
	template := h.Template(zkdiscovery.WithoutMetadataWatch())
	template.Close() // its clones have been somebody's who is gone
	h.join("plain", nil)
	h.join("filtered", nil)
	if h.server != nil {
		h.join("cut off", harness.NewDialer(h.server.Dial))
	}
	h.join("cached", nil)
}

// join adds a member.
func (h *history) join(name string, way *harness.Dialer) {
	m := &member{name: name, way: way, odd: strings.HasPrefix(name, "filtered"), cached: strings.HasPrefix(name, "cached")}
	opts := []zkdiscovery.Option{zkdiscovery.WithLazyStart(), zkdiscovery.WithLogger(h.Logbook.Logger()), zkdiscovery.WithoutGuard()}
	if way != nil {
		opts = append(opts, zkdiscovery.WithDialer(way.Dial))
	}
	if m.cached {
		opts = append(opts, zkdiscovery.WithCacheDir(h.Dir))
	} else {
		opts = append(opts, zkdiscovery.WithoutCache())
	}
	if h.r.IntN(2) == 0 {
		template, err := zkdiscovery.NewTemplate(h.Base, h.Servers(), append(h.Options(), opts...)...)
		harness.Must(h, err)
		h.templates = append(h.templates, template)
		h.Cleanup(template.Close)
		m.d = h.Clone(template, "Arith")
	} else {
		d, err := zkdiscovery.New(h.Base, "Arith", h.Servers(), append(h.Options(), opts...)...)
		harness.Must(h, err)
		h.Cleanup(d.Close)
		m.d = d
	}
	if m.odd {
		m.d.SetFilter(isOdd)
	}
	m.replicas = append(m.replicas, h.Follow(m.d))
	h.members = append(h.members, m)
	h.note("%s joins", name)
}

func isOdd(p *client.KVPair) bool { return strings.Contains(p.Value, "1") }

// of is what a member should list.
func (h *history) of(m *member) map[string]string {
	want := maps.Clone(h.nodes)
	if m.odd {
		maps.DeleteFunc(want, func(k, v string) bool { return !isOdd(&client.KVPair{Key: k, Value: v}) })
	}
	return want
}

func (m *member) watchersAre(want map[string]string) bool {
	for _, r := range m.replicas {
		if !maps.Equal(r.Last(), want) {
			return false
		}
	}
	return true
}

// converged fails the test unless everybody has what ZooKeeper has.
func (h *history) converged() {
	h.Helper()
	if diff := cmp.Diff(h.nodes, h.Children(h.Service("Arith"))); diff != "" {
		h.Fatalf("seed %d: ZooKeeper is not as the model (-model +ZooKeeper):\n%s", h.seed, diff)
	}
	for _, m := range h.members {
		want := h.of(m)
		if s := m.d.Snapshot(); s.Source != zkdiscovery.Live {
			h.Errorf("seed %d: %s is %v: %v", h.seed, m.name, s.Source, m.d.Status())
		}
		if diff := cmp.Diff(want, harness.Listed(m.d.GetServices())); diff != "" {
			h.Errorf("seed %d: the list of %s (-ZooKeeper +list):\n%s", h.seed, m.name, diff)
		}
		for i, r := range m.replicas {
			if diff := cmp.Diff(want, r.Last()); diff != "" {
				h.Errorf("seed %d: watcher %d of %s (-ZooKeeper +watcher):\n%s", h.seed, i, m.name, diff)
			}
			for _, list := range r.Heard() {
				for key, value := range list {
					if !h.written[key+" "+value] {
						h.Errorf("seed %d: a watcher of %s was told of %s with %q, which never was", h.seed, m.name, key, value)
					}
				}
			}
		}
		if n := m.d.Status().Mended; n > 0 {
			h.Errorf("seed %d: %s has found %d changes by looking at rest: no watch had told of them", h.seed, m.name, n)
		}
	}
	if h.Failed() {
		h.FailNow()
	}
}

// atRest fails the test unless the file is right and ZooKeeper has no more to do for the members than it need.
func (h *history) atRest() {
	h.Helper()
	for _, m := range h.members {
		if m.cached {
			if got := h.Saved("Arith"); !maps.Equal(got, h.nodes) {
				h.Errorf("seed %d: the file has %v, not %v", h.seed, got, h.nodes)
			}
		}
	}
	st := h.server.Stats()
	if want := len(h.members); st.Connections != want || st.Sessions != want {
		h.Errorf("seed %d: %d connections and %d sessions for %d discoveries", h.seed, st.Connections, st.Sessions, want)
	}
	least := len(h.members) // one of the path each
	for _, m := range h.members {
		// Who came while the server hung up on everybody does without persistent watches for an hour.
		if !strings.HasPrefix(m.d.Status().Wire, "persistent watches") {
			least += len(h.nodes)
		}
	}
	// A path that appeared between two questions has one more, for its data.
	if n := st.Watches; n < least || n > least+len(h.members) {
		h.Errorf("seed %d: %d watches, not %d: one per connection, and one per znode where they are one-shot watches", h.seed, n, least)
	}
}
