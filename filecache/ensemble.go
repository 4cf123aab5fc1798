package filecache

import (
	"slices"
	"strings"
)

// ensemble is what Open's argument of that name says: a name, or hosts and a root below which everything is.
type ensemble struct {
	text  string   // the same for every way to write the same
	hosts []string // sorted; nil for a name
	root  string
}

// parseEnsemble takes "zk1:2181,zk2:2181/prod" for hosts and a root, and anything else for a name.
func parseEnsemble(text string) ensemble {
	list, root := text, ""
	if at := strings.IndexByte(text, '/'); at >= 0 {
		list, root = text[:at], strings.TrimRight(text[at:], "/")
	}
	hosts := strings.Split(list, ",")
	for _, host := range hosts {
		if checkHostPort(host) != nil {
			return nameOf(text)
		}
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	return ensemble{text: strings.Join(hosts, ",") + root, hosts: hosts, root: root}
}

// nameOf is the ensemble of that name, whatever it looks like.
func nameOf(text string) ensemble { return ensemble{text: text} }

func (e ensemble) isName() bool { return e.hosts == nil }

// is reports whether e and o are written for the same: the same name, or the same hosts and root.
func (e ensemble) is(o ensemble) bool { return e.text == o.text && e.isName() == o.isName() }

// mayBe reports whether e and o may be the same ensemble at two times: hosts come and go, but one is in both, and the root stays.
func (e ensemble) mayBe(o ensemble) bool {
	common := func(host string) bool { return slices.Contains(o.hosts, host) }
	return e.is(o) || e.root == o.root && slices.ContainsFunc(e.hosts, common)
}

// directoryName is the name that the ensemble's directory has unless another ensemble's has it already. Of hosts it is made to be read:
// zk1_2181,zk2_2181+prod.
func (e ensemble) directoryName() string {
	if e.isName() {
		return directoryName(e.text)
	}
	return directoryName(strings.NewReplacer(":", "_", "/", "+").Replace(e.text))
}
