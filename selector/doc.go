// Package selector chooses servers for rpcx's XClient, and keeps calls away from those that fail. Make a Selector, and let it wrap the XClient:
//
//	s, err := selector.New()
//	xc := selector.Wrap(client.NewXClient("Arith", client.Failover, client.SelectByUser, d, client.DefaultOption), s)
//
// From then on a server is asked in the background before a call dials it, and one that fails is left alone until it answers again. rpcx's own selectors
// know nothing of failures, and in rpcx v1.9.4 a dial to a server that is gone stalls every call of the XClient. Without Wrap, that is with XClient's
// SetSelector only, nobody tells the Selector what becomes of calls. Then it knows what its probes find when servers join, and no more.
//
// # What holds
//
//   - Select returns the key of a listed server. It returns "" when the list is empty, when the call's retries have no budget left, and with WithOnlyTagged
//     when no server has the call's tag. It never blocks, allocates nothing where the policy has no key to compute, and never panics, whatever the metadata.
//   - A dial that fails puts a server aside at once: for about a second, then two, four, up to a minute. It is asked again in the background, outside
//     XClient's lock.
//   - A server whose connection ends is asked in the background before anybody dials it, where the network can be probed. That the connection broke is one
//     failure, however many calls were on it. A connection that ends without a call is noticed where the list has literal addresses.
//   - Five failed calls in a row eject a server: connections that broke, answers that did not come in time. So does a share of failed calls that is
//     far above the others'. The first ejection lasts 30 s, the next ones longer, 5 min at most; time without one is forgiven.
//   - Errors that the service returned are successes of the server. An error that came neither from the network nor from the server is not held against it.
//   - Only a success brings back a server at which calls have failed: a call that was answered, or a request without an answer that was written (three of
//     them after an ejection). One call at a time tries it. If the call teaches nothing, the next one tries after a second, then two, up to sixteen. At
//     most one call at a time dials a server that no probe has found. Only where no server can be used do all calls go to one, until it has answered or failed.
//   - Never more than half of the servers are ejected, a quarter while the list is not live (WithLive). When more than half are out of use, those that were
//     ejected because of their calls are used again, for the evidence is bad and not the servers. Those that could not be reached are not.
//   - Probes that reach nobody are not believed while calls are answered.
//   - A server that is well has a call at least every second, or as seldom as ten times the time that its last answer took (30 s at most), once each server has
//     had eight calls since. A weight below the average makes it as much longer. This holds for P2C, Random, and Locality's nearest; WeightedRoundRobin is exact, and with
//     ConsistentHash the keys decide. A server that failed has calls again a minute after it is well at the latest, and after its ejection if it was ejected.
//   - A server that leaves the list and comes back within a minute is as trusted as it was. But what it took to answer is forgotten, and if it is out of use it is
//     asked at once, since it may be another process. The same when the started=… of its metadata changes.
//   - After Close returns, every goroutine that the Selector started has ended, but for a user's Probe that ignores its context. Select
//     goes on answering, without regard to failures.
//
// Less formally: callers meet a dead server once, if at all, and do not pay for finding out whether it is back.
//
// # Policies
//
//   - P2C, the default: the less loaded of two random servers, by latency times calls in flight. A slow answer counts at once, and is forgotten within
//     seconds. Right for nearly everything: it leaves slow servers alone before they fail.
//   - WeightedRoundRobin: in turn, each as often as its weight says, evenly spread. A new list does not begin the turn anew.
//   - ConsistentHash: calls with the same key go to the same server, from every process. A server that comes or goes moves its own keys and no
//     others (when weights differ, also some of others if the median weight changes). A server with a quarter more calls in flight than its
//     share passes its keys on to the next.
//   - Locality: near servers first, by zone and distance, in every draw: the first, a retry, a backup, a trial. The next place gets calls when less than
//     five of seven near servers are in use, and when the near ones are four times as slow as the next. One call in five seconds measures the next place.
//   - Random: any.
//
// WithSubset reduces any of them to some of the servers, WithSlowStart spares newcomers, WithTag chooses canaries. Calls in flight are those of this
// Selector: with P2C and bounded loads each client judges by what it sees.
//
// # Metadata
//
//	weight=5                       0: drained, not used while others have a weight; at most 1,000 times the least
//	state=inactive                 as weight=0; XClient leaves such servers out itself
//	zone=a                         for Locality
//	latitude=52.5&longitude=13.4   degrees, for Locality
//	tag=canary                     for WithTag; calls without a tag avoid such servers while another can be used
//	started=1700000000             when the server's process has started, in seconds since 1970, for WithSlowStart
//
// What cannot be understood has its default (a weight of 1, no position) and is reported to the logger once.
//
// # Several XClients
//
// XClients of one service may share a Selector, and share what is known of the servers. Of those that share a list, because they have the same
// Option.Group, one leads: its list is the Selector's. When it is closed, the XClient that has received a list last leads. XClients of different groups
// each call the servers of their own list.
//
// # Goroutines
//
// New starts none. The first list starts one, the loop, which probes and calls hooks; each probe has two, at most
// Probing.Parallel at a time. Close waits for them. A wrapped XClient has one for each Go that is under way, and one for each Failbackup whose slower
// request is; its own Close ends them and waits.
//
// # Modes
//
// What became of a call is told by the XClient that Wrap returns, and by those of NewXClient, XClientPool, OneClient and OneClientPool, which stand in for
// rpcx's, whose own XClients nobody can reach. An attempt ends in one of six ways: it was not sent, which says nothing; it was written, where no answer is
// expected; it was given up, and the server takes at least that long; it failed; it was answered; or the service refused it with an error. rpcx v1.9.4
// does not let the wrapper know everything; each line is a test.
//
//   - Call in the modes Failfast and Failover, and SendRaw: every pick with its outcome and latency. A dial that failed is told at once, and its
//     pick was not sent. So was that of Failover's last Select, whose server rpcx does not call.
//   - Call in the mode Failtry: one pick, and the outcome of every attempt at its server.
//   - Call in the mode Failbackup: both picks with their outcomes, also that of the request that lost, until the deadline or for a minute. The
//     wrapper makes both requests itself.
//   - Go: the pick with its outcome. The context does not end the request, but the pick is given up with it.
//   - Oneshot, and a Call, Go or SendRaw that asks for no reply: the pick was written. Failures to dial are told, and those to write, but for Oneshot's.
//   - Broadcast and Fork: no pick. Dial failures, and connections that end.
//   - Inform: no pick. Every server's outcome and latency when all have answered.
//   - A sticky XClient (Option.Sticky): only the first call selects. The outcomes of the others are told of the server that it keeps, without a
//     count of those in flight.
//   - Stream, SendFile and DownloadFile: the call that they begin with, as in the XClient's mode, but for Failbackup: there only dial failures.
//     What follows on another connection is not seen.
//
// A call whose arguments cannot be encoded, that a plugin or a breaker refuses, or whose deadline had passed, was not sent. One whose connection this side has
// closed was given up.
package selector
