// Package holdfast_test is the black box: what the packages promise (see DESIGN.md and their docs), one test per promise, through the
// exported API only. Most scenarios run twice: in a bubble against the in-process server, where hours take milliseconds and no schedule is
// luck, and on a real ZooKeeper.
package holdfast_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/log"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(serversOf); spec != "" {
		os.Exit(beServers(spec))
	}
	log.SetDummyLogger() // rpcx's, which tells of every connection that ends; here, because nothing may log meanwhile
	goleak.VerifyTestMain(closingEnsembles{m})
}

// closingEnsembles ends what tests have shared before the leaks are counted.
type closingEnsembles struct{ *testing.M }

func (c closingEnsembles) Run() int {
	code := c.M.Run()
	return max(code, single.close(), triple.close())
}

// zooKeeper is a ZooKeeper and the network on the way to it. Changes are made behind the clients' backs: they work whatever the network
// does to the clients.
type zooKeeper interface {
	servers() []string
	options() []zkdiscovery.Option // with which a client gets there

	put(path, data string) // with its parents
	set(path, data string)
	remove(paths ...string) // in one transaction
	create(paths ...string) // in one transaction, with data "n=1"
	takeover(path, data string)
	children(path string) map[string]string

	stop() // refused, as if the servers had died
	start()
	die() // the servers' processes are killed
	rise()
	wipe()       // a new, empty ensemble at the old addresses
	cut(on bool) // every packet is dropped, connections stay
	expire()     // all sessions, and all that clients had in them

	wait() // a little
	patience() time.Duration
}

// world is where a scenario takes place: its test, named t there so that the test around the bubble is out of reach, and what it acts on.
type world struct {
	*testing.T
	zooKeeper
	base string
	log  *logbook
	dir  string // of the cache files
}

// service is the znode path of a service.
func (w *world) service(name string) string { return w.base + "/" + name }

// everywhere plays a scenario in a bubble and on a real ZooKeeper.
func everywhere(t *testing.T, scenario func(t *world)) {
	t.Helper()
	t.Run("in a bubble", func(t *testing.T) {
		inBubble(t, func(t *world, _ *zktest.Server) { scenario(t) })
	})
	t.Run("on real ZooKeeper", func(t *testing.T) { onRealZooKeeper(t, scenario) })
}

// inBubble plays a scenario on the in-process server. It ends with everything closed; synctest fails it if a goroutine is left.
func inBubble(t *testing.T, scenario func(*world, *zktest.Server), opts ...zktest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		zk := zktest.NewServer(opts...)
		t.Cleanup(zk.Close)
		w := &world{T: t, zooKeeper: &inProcess{t: t, server: zk}, base: "/rpcx", log: newLogbook(t), dir: t.TempDir()}
		scenario(w, zk)
	})
}

var scenarios atomic.Int64

// onRealZooKeeper plays a scenario on the shared real server, below a base path of its own and through a proxy of its own.
func onRealZooKeeper(t *testing.T, scenario func(*world)) {
	t.Helper()
	zk := newReal(t, single.get(t))
	w := &world{T: t, zooKeeper: zk, base: fmt.Sprintf("/holdfast/%d", scenarios.Add(1)), log: newLogbook(t), dir: t.TempDir()}
	t.Cleanup(func() { zk.removeAll(w.base) })
	scenario(w)
}

// pass lets time pass in a bubble, and then everything that it has set off come to rest.
func pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

// common are the options of every discovery of this world. The guard, which holds what ZooKeeper no longer lists, has tests of its own.
func (w *world) common(opts []zkdiscovery.Option) []zkdiscovery.Option {
	return slices.Concat(w.options(), []zkdiscovery.Option{
		zkdiscovery.WithCacheDir(w.dir), zkdiscovery.WithLogger(w.log.logger()), zkdiscovery.WithoutGuard(),
	}, opts)
}

// discover is zkdiscovery.New, closed with the test.
func (w *world) discover(service string, opts ...zkdiscovery.Option) *zkdiscovery.Discovery {
	w.Helper()
	d, err := zkdiscovery.New(w.base, service, w.servers(), w.common(opts)...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(d.Close)
	return d
}

// template is zkdiscovery.NewTemplate, closed with the test.
func (w *world) template(opts ...zkdiscovery.Option) *zkdiscovery.Discovery {
	w.Helper()
	d, err := zkdiscovery.NewTemplate(w.base, w.servers(), w.common(opts)...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(d.Close)
	return d
}

// clone is d.Clone, as a Discovery.
func (w *world) clone(d client.ServiceDiscovery, service string) *zkdiscovery.Discovery {
	w.Helper()
	c, err := d.Clone(service)
	if err != nil {
		w.Fatal(err)
	}
	return c.(*zkdiscovery.Discovery)
}

// eventually waits until ok. In a bubble that is exact; on real ZooKeeper it polls, with a deadline.
func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(w.patience()); !ok(); w.wait() {
		if time.Now().After(end) {
			w.Fatalf("not within %v: %s", w.patience(), what)
		}
	}
}

// equal waits until d lists what ZooKeeper has, live.
func (w *world) equal(d *zkdiscovery.Discovery, service string) {
	w.Helper()
	want := w.children(w.service(service))
	ok := func() bool {
		return d.Snapshot().Source == zkdiscovery.Live && maps.Equal(listed(d.GetServices()), want)
	}
	for end := time.Now().Add(w.patience()); !ok(); w.wait() {
		if time.Now().After(end) {
			w.Fatalf("after %v the list is not ZooKeeper's (-ZooKeeper +list):\n%s\n%v", w.patience(),
				cmp.Diff(want, listed(d.GetServices())), d.Status())
		}
	}
}

// lists fails the test unless d lists exactly want, now.
func (w *world) lists(d client.ServiceDiscovery, want map[string]string) {
	w.Helper()
	if diff := cmp.Diff(want, listed(d.GetServices())); diff != "" {
		w.Fatalf("list (-want +got):\n%s", diff)
	}
}

// source fails the test unless d's list comes from want, now.
func (w *world) source(d *zkdiscovery.Discovery, want zkdiscovery.Source) {
	w.Helper()
	if got := d.Snapshot().Source; got != want {
		w.Fatalf("source is %v, want %v: %v", got, want, d.Status())
	}
}

// instance is the i-th instance's key. Nobody listens there.
func instance(i int) string { return fmt.Sprintf("tcp@127.1.%d.%d:8972", i/250, i%250+1) }

// listed is a list as a map from key to metadata. A key that is there twice shows.
func listed(pairs []*client.KVPair) map[string]string {
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		if _, twice := m[p.Key]; twice {
			m[p.Key+" (twice)"] = p.Value
		}
		m[p.Key] = p.Value
	}
	return m
}

// nothingLeft fails the test if a goroutine of the library's is still there. It gives them a chance to run, but no time: whoever waits for
// something, or for a moment, was left behind.
func (w *world) nothingLeft() {
	w.Helper()
	var left []string
	for range 1000 {
		left = libraryGoroutines()
		if _, real := w.zooKeeper.(*realZooKeeper); real { // the control's connection is go-zookeeper's, too
			left = slices.DeleteFunc(left, func(stack string) bool { return !strings.Contains(stack, "holdfast-go/holdfast/zkdiscovery.") })
		}
		if len(left) == 0 {
			return
		}
		runtime.Gosched()
	}
	w.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
}

// libraryGoroutines are the stacks of all goroutines in which the library, or its ZooKeeper client, is at work.
func libraryGoroutines() (stacks []string) {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		for line := range strings.SplitSeq(stack, "\n") {
			if libraryFrame.MatchString(line) {
				stacks = append(stacks, stack)
				break
			}
		}
	}
	return stacks
}

var libraryFrame = regexp.MustCompile(
	`^(github\.com/holdfast-go/holdfast/(zkdiscovery|zkdiscovery/internal/\w+|filecache|internal/\w+)|github\.com/go-zookeeper/zk)\.`)
