package zkdiscovery

import (
	"slices"
	"strings"
)

// ensembleID is how filecache is told of the ensemble: by the user's name for it, or by its servers and chroot.
func ensembleID(name string, addrs []string, chroot string) string {
	if name != "" {
		return name
	}
	sorted := slices.Sorted(slices.Values(addrs))
	return strings.Join(slices.Compact(sorted), ",") + chroot
}
