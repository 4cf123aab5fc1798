// Package selector chooses servers for rpcx's XClient, and keeps away from those that fail.
//
// rpcx's own selectors know nothing of failures. A list names servers that are gone, the more so when it comes from a file because the registry is
// away, and in rpcx v1.9.4 a dial to one of them stalls every call of the XClient. With
//
//	s, err := selector.New()
//	xc := selector.Wrap(client.NewXClient("Arith", client.Failover, client.SelectByUser, d, client.DefaultOption), s)
//
// a server is dialled in the background before calls go to it, and one that fails is left alone until it answers again.
//
// # What holds
//
//   - Select returns the key of a listed server, and "" only when the list is empty. It never blocks, allocates nothing where the policy has
//     no key to compute, and never panics, whatever the metadata.
//   - A dial that fails puts a server aside at once: for about a second, then two, four, up to a minute. It is asked again in the background,
//     outside XClient's lock.
//   - Five failed calls in a row eject a server: connections that broke, answers that did not come in time. So does a share of failed calls that is
//     far above the others'. The first ejection lasts 30 s, the next ones longer, 5 min at most; time without one is forgiven. Errors that
//     the service returned are successes of the server.
//   - A server that has never answered, or that is to come back, is probed in the background first. After a failure one trial call brings it back,
//     and at most one call at a time goes to servers on trial. Only where nobody is known to be up do calls go to a server of which nothing is
//     known, and then all to the same one until it has answered or failed.
//   - Never more than half of the servers are ejected, a quarter while the list is not live (WithLive). When more than half fail, dials included,
//     the evidence is bad and not the servers: those that were ejected are used again, and those that could not be reached are each tried by
//     one call when their time is up, whatever the probes say.
//   - A probe that never reached anybody is not believed once a call has.
//   - A server that leaves the list and comes back within a minute is what it was.
//   - After Close returns, every goroutine that the Selector started has ended, but for a user's Probe that ignores its context. Select
//     goes on answering, without regard to failures.
//
// Less formally: callers meet a dead server once, if at all, and do not pay for finding out whether it is back.
//
// Without Wrap, that is with XClient's SetSelector only, nobody tells the Selector what becomes of calls. Then it knows what its probes find when
// servers join, and no more.
//
// # Policies
//
//   - P2C, the default: the less loaded of two random servers, by peak-EWMA latency times calls in flight. Right for nearly everything: it leaves
//     slow servers alone before they fail.
//   - WeightedRoundRobin: in turn, each as often as its weight says, evenly spread. A new list does not begin the turn anew.
//   - ConsistentHash: calls with the same key go to the same server, from every process. A server that comes or goes moves its own keys and no
//     others (when weights differ, also some of others if the median weight changes). A server with a quarter more calls in flight than its
//     share passes its keys on to the next.
//   - Locality: near servers first, by zone and distance. The next place gets calls when less than five of seven near servers are in use, and when
//     the near ones are four times as slow as the next.
//   - Random: any.
//
// WithSubset reduces any of them to some of the servers, WithSlowStart spares newcomers. Calls in flight are those of this Selector: with P2C and
// bounded loads each client judges by what it sees.
//
// # Metadata
//
//	weight=5                       0: drained, not used while others have a weight; at most 1,000 times the least
//	state=inactive                 as weight=0; XClient leaves such servers out itself
//	zone=a                         for Locality
//	latitude=52.5&longitude=13.4   degrees, for Locality
//
// What cannot be understood has its default (a weight of 1, no position) and is reported to the logger once.
//
// # Goroutines
//
// New starts none. The first list starts one, the loop, which probes, ends trials and calls hooks; each probe has two, at most
// Probing.Parallel at a time. Close waits for them. A wrapped XClient has one for each Go that is under way, and one for each Failbackup whose slower
// request is; its own Close ends them and waits.
//
// # Modes
//
// What became of a call is told by the XClient that Wrap returns, and by those of XClientPool, OneClient and OneClientPool, which stand in for
// rpcx's, whose own XClients nobody can reach. rpcx v1.9.4 does not let them know everything; each line is a test.
//
//   - Call in the modes Failfast and Failover, and SendRaw: every pick with its outcome and latency. A dial that failed is told at once, and its
//     pick is released without a verdict. So is that of Failover's last Select, whose server rpcx does not call.
//   - Call in the mode Failtry: one pick, and the outcome of every attempt at its server.
//   - Call in the mode Failbackup: both picks with their outcomes, also that of the request that lost, until the deadline or for a minute. The
//     wrapper makes both requests itself.
//   - Go: the pick with its outcome. The context does not end the request, but the pick is released with it.
//   - Oneshot: the pick is released at once. Dial failures are told.
//   - A Call, Go or SendRaw that asks for no reply: the pick is released when the request is written. Failures to dial and to write are told.
//   - Broadcast and Fork: no pick. Dial failures; and broken connections, where the list has literal IP addresses.
//   - Inform: no pick. Every server's outcome and latency when all have answered.
//   - A sticky XClient (Option.Sticky): only the first call selects. The outcomes of the others are told of the server that it keeps, without a
//     count of those in flight.
//   - Stream, SendFile and DownloadFile: the call that they begin with, as in the XClient's mode, but for Failbackup: there only dial failures.
//     What follows on another connection is not seen.
//
// A call whose arguments cannot be encoded, that a plugin refuses, that the caller gives up, or whose connection this side has closed, says
// nothing about its server.
package selector
