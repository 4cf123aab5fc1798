package selector

import (
	"math/rand/v2"
	"strings"
)

// elsewhere returns another server than the one that was chosen, for a call that had its chance there: the next attempt of a Failover, or the
// backup of a Failbackup. It is the same when there is no other.
func (s *Selector) elsewhere(had *server) *server {
	servers := s.table.Load().servers
	from := rand.IntN(len(servers))
	for i := range servers {
		if srv := servers[(from+i)%len(servers)]; srv.key != had.key {
			srv.picks.Add(1)
			return srv
		}
	}
	return had
}

// keyOf returns the key of the server with an address, "" if it is not listed or goes by a name there.
func (s *Selector) keyOf(address string) string {
	byKey := s.table.Load().byKey
	for _, key := range [...]string{"tcp@" + address, address} {
		if byKey[key] != nil {
			return key
		}
	}
	for key := range byKey {
		if _, after, ok := strings.Cut(key, "@"); ok && after == address {
			return key
		}
	}
	return ""
}
