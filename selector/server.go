package selector

import "sync/atomic"

// server is what is known of one server. It stays the same through list updates, so that picks in flight can report to it.
type server struct {
	key      string
	inFlight atomic.Int64 // picks that somebody will report on
	picks    atomic.Uint64
	outcomes [cancelled + 1]atomic.Uint64
}
