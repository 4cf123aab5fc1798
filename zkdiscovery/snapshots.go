package zkdiscovery

import "github.com/smallnest/rpcx/client"

// Snapshots returns the list of every service that is mirrored over the connection of d, by path, for a page or a monitor. Unlike Snapshot's, they
// are before any filter, and their Revision is that of Status.Services. It does not block, and does not count as a use (see RemoveWatcher). After Close they stay as
// they were.
func (d *Discovery) Snapshots() []Snapshot {
	conn := d.root.session.State()
	var all []Snapshot
	for _, sv := range d.root.servicesNow() {
		st := Status{Service: sv.path}
		l := sv.whole(&st, conn)
		s := Snapshot{Service: sv.path, Source: st.Source, Revision: st.Revision, Zxid: st.Zxid, AsOf: st.AsOf}
		if l != nil {
			s.Servers, s.Held = make([]client.KVPair, len(l.Pairs)), append([]string(nil), l.Held...)
			for i, p := range l.Pairs {
				s.Servers[i] = *p
			}
		}
		all = append(all, s)
	}
	return all
}
