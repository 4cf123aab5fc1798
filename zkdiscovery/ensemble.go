package zkdiscovery

import (
	"slices"
	"strings"
)

// ensembleID is how the cache file names the ensemble that its list came from: the user's name for it, or its servers and chroot.
func ensembleID(name string, addrs []string, chroot string) string {
	if name != "" {
		return name
	}
	sorted := slices.Sorted(slices.Values(addrs))
	return strings.Join(slices.Compact(sorted), ",") + chroot
}

// sameEnsemble says whether a file of ensemble theirs is ours, who have no name for it: the servers stand for the name, so the chroots are equal
// and at least one server is in both, since servers come and go one at a time.
func sameEnsemble(ours, theirs string) bool {
	if ours == theirs {
		return true
	}
	ourHosts, ourRoot, ok := splitEnsemble(ours)
	theirHosts, theirRoot, ok2 := splitEnsemble(theirs)
	return ok && ok2 && ourRoot == theirRoot && slices.ContainsFunc(ourHosts, func(h string) bool { return slices.Contains(theirHosts, h) })
}

// splitEnsemble takes apart what ensembleID put together; ok is false for a name.
func splitEnsemble(id string) (hosts []string, chroot string, ok bool) {
	if at := strings.IndexByte(id, '/'); at >= 0 {
		id, chroot = id[:at], id[at:]
	}
	hosts = strings.Split(id, ",")
	for _, h := range hosts {
		if !strings.Contains(h, ":") {
			return nil, "", false
		}
	}
	return hosts, chroot, true
}
