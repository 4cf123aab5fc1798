package lists

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/tests/seeds"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var switchRounds = flag.Int("switch.rounds", 30, "how often the connection is cut, for each seed of the test that switches between servers")

// mixed are the servers of an ensemble that is being upgraded.
var mixed = map[string]zktest.Version{"zk34:2181": zktest.Version34, "zk36:2181": zktest.Version38, "zk39:2181": zktest.Version39}

// While an ensemble is being upgraded, a connection may be to a server that has persistent watches and batched reads, and the next one to a server that has
// not. The connection is cut at random, while instances come, change and go.
func TestSwitchingBetweenServersWithAndWithoutTheExtensionLosesNothing(t *testing.T) {
	t.Setenv("HOLDFAST_WIRE", "")
	served := make(map[string]int)
	for _, seed := range seeds.Of(t.Name(), 3) {
		t.Logf("HOLDFAST_SEED=%d", seed)
		harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
			s := newSwitching(t, zk, seed)
			for round := range *switchRounds {
				s.disturb()
				s.settle(round)
				served[s.template.Status().Wire]++
			}
			s.end()
		})
	}
	t.Logf("rounds by what was in use in the end: %v", served)
	for _, wire := range []string{"persistent watches, batched reads", "one-shot watches, single reads"} {
		if served[wire] == 0 {
			t.Errorf("no round ended with %s: %v", wire, served)
		}
	}
}

// switching is a template with two services that are followed, on one connection to one server after the other.
type switching struct {
	*harness.World
	zk       *zktest.Server
	seed     uint64
	r        *rand.Rand
	template *zkdiscovery.Discovery
	services []*followed
	counter  int
	rest     int // goroutines of the library's, when it has nothing to do
}

type followed struct {
	name    string
	d       *zkdiscovery.Discovery
	watcher *harness.Replica
	nodes   map[string]string // what ZooKeeper has
	written map[string]bool   // every key and value that there ever was
	checked int               // of the lists that the watcher has heard
}

func newSwitching(t *harness.World, zk *zktest.Server, seed uint64) *switching {
	s := &switching{World: t, zk: zk, seed: seed, r: rand.New(rand.NewPCG(seed, 0))}
	servers := make([]string, 0, len(mixed))
	for addr := range mixed {
		servers = append(servers, addr)
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		zk.SetVersion(mixed[addr]) // nobody else is connected
		return zk.Dial(ctx, network, addr)
	}
	template, err := zkdiscovery.NewTemplate(t.Base, servers, t.Common(zkdiscovery.WithDialer(dial))...)
	harness.Must(t, err)
	t.Cleanup(template.Close)
	s.template = template
	for _, name := range []string{"Arith", "Other"} {
		f := &followed{name: name, nodes: make(map[string]string), written: make(map[string]bool)}
		s.services = append(s.services, f)
		for i := range 8 {
			s.put(f, harness.Instance(i))
		}
		f.d = t.Clone(template, name)
		f.watcher = t.Follow(f.d)
	}
	return s
}

func (s *switching) put(f *followed, key string) {
	s.counter++
	value := fmt.Sprint("n=", s.counter)
	f.nodes[key], f.written[key+" "+value] = value, true
	s.Put(s.Service(f.name)+"/"+key, value)
}

// change makes an instance come, change or go.
func (s *switching) change() {
	for _, f := range s.services {
		key := harness.Instance(s.r.IntN(16))
		if _, there := f.nodes[key]; there && s.r.IntN(3) == 0 {
			harness.Must(s, s.zk.Delete(s.Service(f.name)+"/"+key))
			delete(f.nodes, key)
		} else {
			s.put(f, key)
		}
	}
}

// cuts are the ways in which a connection ends.
var cuts = []zktest.Op{
	zktest.OpConnect, zktest.OpExists, zktest.OpAddWatch, zktest.OpMultiRead, zktest.OpGetChildren2, zktest.OpGetData, zktest.OpSync, zktest.OpSetWatches,
	zktest.OpRemoveWatches,
}

// disturb cuts the connection, once or a few times, while instances change before, in between and after.
func (s *switching) disturb() {
	for range 1 + s.r.IntN(3) {
		for range s.r.IntN(4) {
			s.change()
			time.Sleep(s.upTo(time.Duration(1) << s.r.IntN(24)))
		}
		switch op := cuts[s.r.IntN(len(cuts))]; s.r.IntN(8) {
		case 0, 1:
			s.zk.CutBefore(op, 1)
			s.zk.DropConnections()
		case 2, 3:
			s.zk.CutAfter(op, 1)
			s.zk.DropConnections()
		case 4:
			s.zk.ExpireAll()
		default:
			s.zk.DropConnections()
		}
		for range s.r.IntN(4) {
			s.change()
			time.Sleep(s.upTo(time.Duration(1) << s.r.IntN(32)))
		}
	}
	s.change()
}

func (s *switching) upTo(d time.Duration) time.Duration {
	return time.Duration(s.r.Int64N(int64(d) + 1))
}

// settle waits until every list is ZooKeeper's, and looks at what is left of the round then.
func (s *switching) settle(round int) {
	for _, op := range cuts {
		s.zk.CutAfter(op, 0)
	}
	for _, f := range s.services {
		s.Eventually(fmt.Sprintf("seed %d, round %d: %s is live and equal", s.seed, round, f.name), func() bool {
			return f.d.Snapshot().Source == zkdiscovery.Live && maps.Equal(harness.Listed(f.d.GetServices()), f.nodes)
		})
	}
	harness.Pass(time.Second)
	s.Eventually(fmt.Sprintf("seed %d, round %d: a session whose beginning was cut has expired", s.seed, round), func() bool { return s.zk.Stats().Sessions == 1 })
	watches, st := 0, s.template.Status()
	for _, f := range s.services {
		if watches++; !strings.HasPrefix(st.Wire, "persistent") {
			watches += len(f.nodes)
		}
		s.heard(round, f)
	}
	if got := s.zk.Stats(); got.Watches != watches || got.Connections != 1 || got.Sessions != 1 {
		s.Errorf("seed %d, round %d, %s: %d watches and not %d, %d connections, %d sessions", s.seed, round, st.Wire, got.Watches, watches, got.Connections, got.Sessions)
	}
	if n := len(harness.LibraryGoroutines()); s.rest == 0 {
		s.rest = n
	} else if n != s.rest {
		s.Errorf("seed %d, round %d: %d goroutines, there were %d", s.seed, round, n, s.rest)
	}
	if s.Failed() {
		s.FailNow()
	}
}

// heard looks at the lists that the watcher has received since the last round.
func (s *switching) heard(round int, f *followed) {
	all := f.watcher.Heard()
	for i := max(f.checked, 1); i < len(all); i++ {
		if maps.Equal(all[i-1], all[i]) {
			s.Errorf("seed %d, round %d: a watcher of %s was told the same twice: %v", s.seed, round, f.name, all[i])
		}
	}
	for _, list := range all[f.checked:] {
		for key, value := range list {
			if !f.written[key+" "+value] {
				s.Errorf("seed %d, round %d: a watcher of %s was told of %s with %q, which never was", s.seed, round, f.name, key, value)
			}
		}
	}
	f.checked = len(all)
	if diff := cmp.Diff(f.nodes, f.watcher.Last()); diff != "" {
		s.Errorf("seed %d, round %d: a watcher of %s (-ZooKeeper +watcher):\n%s", s.seed, round, f.name, diff)
	}
}

// end looks at what the whole history has left.
func (s *switching) end() {
	for _, f := range s.services {
		if n := f.d.Status().Mended; n > 0 {
			s.Errorf("seed %d: %d changes of %s were found by looking at rest: no watch had told of them", s.seed, n, f.name)
		}
	}
	if n := harness.Count(s.Logbook.Edges(), "does not tell"); n > 0 {
		s.Errorf("seed %d: %d servers were distrusted", s.seed, n)
	}
	s.template.Close()
	harness.Pass(0)
	s.NothingLeft()
	if st := s.zk.Stats(); st.Watches+st.Connections+st.Sessions > 0 {
		s.Errorf("seed %d: after Close %d watches, %d connections, %d sessions", s.seed, st.Watches, st.Connections, st.Sessions)
	}
}
