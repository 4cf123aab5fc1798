// Package statuspage shows the state of Holdfast in a browser, and as JSON: where each list comes from and how old it is, who is held and why, what
// has changed, what became of the connection, what is registered, and what the Selectors make of the servers.
//
//	mux.Handle("/debug/holdfast", statuspage.New(metrics.Sources{
//		Discoveries: map[string]*zkdiscovery.Discovery{"orders": d},
//	}))
//
// The page has no script and loads nothing. It is made anew at each request, from the Status of each source, and costs nothing while nobody looks.
// It asks the browser to load it again every 5 s.
//
// Everything from outside is escaped and cut. Credentials are in no Status, and so not here. Addresses, metadata and paths are: mount it where only
// operators get, beside net/http/pprof for instance.
//
// # Parameters
//
//	service=/rpcx/Arith   that service alone, with its instances
//	name=orders           of that Discovery, where several have the service
//	services=200          services from that one on: 200 of a Discovery are shown at once, those that are not well first
//	from=200              its instances from that one on: 200 are shown at once
//	refresh=0             load again after so many seconds; 0: not
//	format=json           the same as JSON, with all instances of the service; so does the header Accept: application/json
package statuspage
