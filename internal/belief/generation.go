package belief

import "cmp"

// Generation places a list in the history of a service. Lineage names a life of the service's path; zxids are compared within one only. Era
// counts the histories that were accepted, and grows with each.
type Generation struct {
	Lineage   string
	Era, Zxid int64
}

// Before reports whether g is older than o, whatever their lineages.
func (g Generation) Before(o Generation) bool {
	return cmp.Or(cmp.Compare(g.Era, o.Era), cmp.Compare(g.Zxid, o.Zxid)) < 0
}

// sameHistory reports whether the zxids of g and o can be compared.
func (g Generation) sameHistory(o Generation) bool { return g.Lineage == o.Lineage && g.Era == o.Era }

// course follows the generations of what the registry says.
//
// Another process may have heard of more. P1 knows zxid 5, P2 has saved zxid 7 of the same history: either the server of P1 lags behind, or the
// registry was restored from a backup since. The file is a floor then, and a doubt is raised: a pass that begins after it, follows a sync and reads
// everything tells which. A pass that began before the doubt tells nothing, since P2 may have heard of zxid 7 after it.
type course struct {
	now    Generation // of the newest list
	floor  int64      // what the file has heard of in the same history, while that is more
	doubts int64      // raised so far; the newest is open while floor is not zero
}

// recall begins with the generation of the file, before the first list.
func (c *course) recall(f Generation) {
	c.now = Generation{Lineage: f.Lineage, Era: f.Era}
	c.raise(f.Zxid)
}

func (c *course) raise(floor int64) {
	c.floor = floor
	c.doubts++
}

// listed takes the next list, and reports whether it is of another history than the one before, or may be.
func (c *course) listed(l *Listing) (other bool) {
	settles := l.Synced && l.Doubt == c.doubts
	switch {
	case l.Lineage != c.now.Lineage || c.now.Era == 0:
		c.now = Generation{l.Lineage, c.now.Era + 1, l.Zxid}
		c.floor = 0
		return true
	case l.Proof && (l.Zxid < c.now.Zxid || settles && l.Zxid < c.floor):
		// The same path, the server has caught up, everything was read, and yet it is as it was earlier: restored from a backup.
		c.now.Era++
		c.now.Zxid, c.floor = l.Zxid, 0
		return true
	case settles: // the leader has confirmed it, so it is no older than what anybody had heard, although not everything could be read
		c.now.Zxid = max(c.now.Zxid, l.Zxid, c.floor)
	default:
		c.now.Zxid = max(c.now.Zxid, l.Zxid)
	}
	if c.floor <= c.now.Zxid {
		c.floor = 0
	}
	return c.floor > 0
}

// heardOf takes the generation of the file, which another process has written. inTheWay says that the file has refused what this process
// knows, which the registry confirms at this moment. It reports whether the file is to be written again.
//
// A file of another history that claims to be as late has counted eras of its own: what the registry says now is later.
func (c *course) heardOf(f Generation, inTheWay, live bool) (again bool) {
	switch {
	case f.sameHistory(c.now):
		if f.Zxid > max(c.now.Zxid, c.floor) && (inTheWay || !live) {
			c.raise(f.Zxid)
		}
	case !inTheWay || !live || f.Era < c.now.Era:
		// Not now. A write that is refused later will say so again.
	case f.Lineage == c.now.Lineage:
		c.now.Era, again = f.Era, true
	default:
		c.now.Era, again = f.Era+1, true
	}
	return again
}
