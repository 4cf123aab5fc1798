package selector

import "strings"

// keyOf returns the key of the server with an address, "" if it is not listed or goes by a name there.
func (r *roster) keyOf(address string) string {
	byKey := r.table.Load().byKey
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
