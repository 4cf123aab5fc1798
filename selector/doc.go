// Package selector chooses servers for rpcx's XClient. It keeps away from those that fail.
//
// # Modes
//
// What became of a call is told by the XClient that Wrap returns. rpcx v1.9.4 does not let it know everything; each line is a test.
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
