package zktest

import "maps"

// Stats counts what a Server has done since it was made; Wipe and the like do not reset it. Those marked "now" are not counts.
type Stats struct {
	Requests        map[Op]int64 // by kind, OpUnknown included, as they arrived: failed and cut ones too, those held by a silence when it has ended
	Notifications   int64        // watch events sent
	WatchesSet      int64
	Watches         int // now: set and not fired
	SessionsOpened  int64
	SessionsExpired int64
	Sessions        int // now
	Accepted        int64
	Refused         int64 // by Dial; over TCP the operating system refuses, and does not count
	Connections     int   // now
	BytesIn         int64 // whole frames, with their lengths
	BytesOut        int64
}

// Stats returns a copy.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Requests = maps.Clone(st.Requests)
	st.Watches = s.watches.size
	st.Sessions = len(s.state.sessions)
	for _, c := range s.conns {
		if !c.dead {
			st.Connections++
		}
	}
	st.BytesIn, st.BytesOut = s.traffic.in.Load(), s.traffic.out.Load()
	return st
}

// Total is the number of requests of all kinds but pings and connects.
func (s Stats) Total() int64 {
	var n int64
	for op, count := range s.Requests {
		if op != OpPing && op != OpConnect {
			n += count
		}
	}
	return n
}

// Since returns what has been counted since an earlier Stats; what is marked "now" stays as it is.
func (s Stats) Since(earlier Stats) Stats {
	d := s
	d.Requests = make(map[Op]int64)
	for op, n := range s.Requests {
		if n -= earlier.Requests[op]; n != 0 {
			d.Requests[op] = n
		}
	}
	d.Notifications -= earlier.Notifications
	d.WatchesSet -= earlier.WatchesSet
	d.SessionsOpened -= earlier.SessionsOpened
	d.SessionsExpired -= earlier.SessionsExpired
	d.Accepted -= earlier.Accepted
	d.Refused -= earlier.Refused
	d.BytesIn -= earlier.BytesIn
	d.BytesOut -= earlier.BytesOut
	return d
}
