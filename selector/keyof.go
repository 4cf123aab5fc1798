package selector

import "strings"

// keyOf returns the key of the server with an address, "" if it is not listed or goes by a name there.
func (r *roster) keyOf(address string) string {
	if key := r.literal(address); key != "" {
		return key
	}
	for key := range r.table.Load().byKey {
		if _, after, ok := strings.Cut(key, "@"); ok && after == address {
			return key
		}
	}
	return ""
}

// literal is keyOf for the usual networks, whatever the number of servers.
func (r *roster) literal(address string) string {
	byKey := r.table.Load().byKey
	for _, network := range [...]string{"tcp@", "", "http@", "unix@"} {
		if byKey[network+address] != nil {
			return network + address
		}
	}
	return ""
}
