// Package selector chooses servers for rpcx's XClient, and keeps calls away from those that fail. Make a Selector, and let it wrap the XClient:
//
//	s, err := selector.New()
//	xc := selector.Wrap(client.NewXClient("Arith", client.Failover, client.SelectByUser, d, client.DefaultOption), s)
//
// It works with any discovery. With zkdiscovery, give New the option WithLive(d.Live). A [Policy] says how a server is chosen among those that are well,
// and what it reads from the metadata. [NewOneClient], [NewXClientPool] and [NewOneClientPool] stand in for rpcx's of the same names. [Wrap] says what it
// notices in each of rpcx's modes.
//
// rpcx's own selectors know nothing of failures, and in rpcx v1.9.4 a dial to a server that is gone stalls every call of the XClient. Without Wrap, with
// XClient's SetSelector only, a Selector does not learn what becomes of calls. Then it knows what its probes find when servers join, and no more.
//
// # What holds
//
// In short; [Selector] has it with all times and numbers.
//
//   - A server is asked in the background before a call dials it. One that fails is left alone until it answers again.
//   - A server is ejected after five failed calls in a row, or when it fails far more often than the others. An error that the service returns is no
//     failure.
//   - Only a success brings back a server at which calls have failed. One call at a time tries it.
//   - Never more than half of the servers are ejected. When more than half are out of use, those that were ejected are used again.
//   - Select never blocks and never panics, whatever the metadata.
//   - After Close returns, every goroutine that the Selector started has ended.
package selector
