// Package contract checks any client.ServiceDiscovery of rpcx against what XClient, OneClient and their pools rely on, and what a program may
// expect beside that. Run it under the race detector:
//
//	func TestContract(t *testing.T) {
//		contract.Run(t, func(t *testing.T) contract.Subject {
//			registry := …
//			d, err := mine.New(registry.Addr(), "Arith")
//			if err != nil {
//				t.Fatal(err)
//			}
//			return contract.Subject{Discovery: d, Set: registry.Set}
//		})
//	}
//
// Each check is a subtest with a discovery of its own. A discovery that is known to break a check is documented with [Broken]: the check is
// run in a process of its own, since some of these mistakes end the process, and the test fails when the check passes.
package contract

import (
	"cmp"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// Subject is a discovery of the service "Arith" that lists nothing yet.
type Subject struct {
	Discovery client.ServiceDiscovery
	// Set makes the registry have exactly these instances of a service, key to metadata, and returns when it has. With a nil or empty list it has none.
	Set func(service string, list map[string]string)
	// OneService says that all clones list what the discovery lists, whatever service they are of.
	OneService bool
	// Patience is how long a check waits for what must come. The default is 10 s.
	Patience time.Duration
}

// Check is one thing that must hold.
type Check struct {
	Name string
	Why  string // what breaks in a program where it does not
	run  func(t *testing.T, s *subject)
}

// Option changes what Run does.
type Option func(*known)

// known is what is known to be wrong, by check.
type known struct{ broken, unsteady map[string]string }

// Broken documents that the discovery fails a check, and why. Run then fails if it does not.
func Broken(check, why string) Option { return func(k *known) { k.broken[check] = why } }

// Unsteady documents that the discovery fails a check at times, and why, unless the check is Broken. Run tells what it did this time.
func Unsteady(check, why string) Option { return func(k *known) { k.unsteady[check] = why } }

// only names the one check that a process of its own runs.
const only = "HOLDFAST_CONTRACT_ONLY"

// Run runs every check on a subject of its own. It closes the discovery when the check is over.
func Run(t *testing.T, factory func(t *testing.T) Subject, opts ...Option) {
	t.Helper()
	k := known{make(map[string]string), make(map[string]string)}
	for _, o := range opts {
		o(&k)
	}
	one := os.Getenv(only)
	for _, c := range Checks() {
		why, isBroken := k.broken[c.Name]
		sometimes, isUnsteady := k.unsteady[c.Name]
		delete(k.broken, c.Name)
		delete(k.unsteady, c.Name)
		switch {
		case one == "" && (isBroken || isUnsteady):
			t.Run(c.Name, func(t *testing.T) {
				if passed, out := alone(t, c); !passed {
					t.Logf("broken, as documented: %s\n%s", cmp.Or(why, sometimes), out)
				} else if isBroken {
					t.Errorf("it holds now, although it is said to be broken: %s", why)
				}
			})
		case one == "" || one == c.Name:
			t.Run(c.Name, func(t *testing.T) {
				s := &subject{Subject: factory(t), t: t}
				defer s.Discovery.Close()
				c.run(t, s)
			})
		}
	}
	for name := range k.broken {
		t.Errorf("there is no check %q", name)
	}
	for name := range k.unsteady {
		t.Errorf("there is no check %q", name)
	}
}

// alone runs one check in a process of its own, and returns the end of what that has said.
func alone(t *testing.T, c Check) (passed bool, said string) {
	t.Helper()
	t.Parallel()
	parent, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+parent+"$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), only+"="+c.Name)
	out, err := cmd.CombinedOutput()
	return err == nil, string(out[max(0, len(out)-600):])
}

// subject is what the checks work with.
type subject struct {
	Subject
	t *testing.T
}

// eventually waits until ok, and fails the test when it has run out of patience.
func (s *subject) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(cmp.Or(s.Patience, 10*time.Second)); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("never: %s; the list is %v", what, listed(s.Discovery.GetServices()))
		}
	}
}

// has sets a list and waits until the discovery lists it.
func (s *subject) has(list map[string]string) {
	s.t.Helper()
	s.Set("Arith", list)
	s.eventually("the list is the registry's", func() bool { return maps.Equal(listed(s.Discovery.GetServices()), list) })
}

// follower is a watcher that keeps up.
type follower struct {
	d    client.ServiceDiscovery
	ch   chan []*client.KVPair
	done chan struct{}
	got  chan []*client.KVPair // cap 1: the newest
}

// follow reads d's lists until stop. each is called with every list, and may be nil.
func follow(d client.ServiceDiscovery, each func([]*client.KVPair)) *follower {
	f := &follower{d: d, ch: d.WatchService(), done: make(chan struct{}), got: make(chan []*client.KVPair, 1)}
	go func() {
		defer close(f.done)
		for pairs := range f.ch {
			if each != nil {
				each(pairs)
			}
			select {
			case <-f.got:
			default:
			}
			f.got <- pairs
		}
	}()
	return f
}

// heard reports whether the newest list that was received is this one.
func (f *follower) heard(list map[string]string) bool {
	select {
	case pairs := <-f.got:
		is := maps.Equal(listed(pairs), list)
		select {
		case f.got <- pairs: // for the next look
		default: // a newer one is there
		}
		return is
	default:
		return false
	}
}

// stop ends it as XClient does.
func (f *follower) stop() {
	f.d.RemoveWatcher(f.ch)
	close(f.ch)
	<-f.done
}

func listed(pairs []*client.KVPair) map[string]string {
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		m[p.Key] = p.Value
	}
	return m
}
