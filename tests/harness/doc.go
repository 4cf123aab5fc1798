// Package harness is what the black-box tests are written with. They use the library as a program does, through its exported API only.
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(harness.Tests(m)) }
//
//	func TestNewInstanceIsListed(t *testing.T) {
//		harness.Everywhere(t, func(t *harness.World) {
//			d := t.Discover("Arith")              // zkdiscovery.New, closed with the test
//			watcher := t.Follow(d)                // keeps every list that a watcher receives
//			t.Put(t.Node("Arith", 0), "weight=2") // what a server does, behind the discovery's back
//			t.Equal(d, "Arith")                   // waits until the list is ZooKeeper's
//			t.Eventually("the watcher has it", func() bool { return len(watcher.Last()) == 1 })
//		})
//	}
//
// A scenario is a function of its [World]: a test, a ZooKeeper, a directory for cache files and a log. Four functions play it:
//
//   - [InBubble] in a synctest bubble, on the in-process server. Hours take milliseconds and nothing depends on the machine's speed. Let time
//     pass with [Pass]. Inside, nothing may wait for a socket or for inotify.
//   - [OnRealZooKeeper] on a real server that the package's tests share, behind a proxy and below a path of its own; [OnRealEnsemble] on three.
//   - [Everywhere] in both. Such a scenario waits with World.Eventually and World.Equal, never for a time.
//   - [OnTheNetwork] on the in-process server over TCP, for rpcx's clients and servers, which cannot live in a bubble.
//
// Beside them: [Faults] and [Absences] are tables of what can go wrong; a [Dialer] breaks the network of one client; a [Fleet] answers the guard's
// probes; a [Backend] is a real rpcx server, and a [Load] is an XClient that calls it all the time.
package harness
