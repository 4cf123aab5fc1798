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

// course follows the generations of what the registry says.
//
// Another process may have heard of more, and has saved it. P1 knows zxid 5 of era 1 and finds zxid 7 of era 1 in the file: either the server of P1
// lags behind, or the registry was restored from a backup since. Or P1 finds era 2: another process has seen a backup restored, or another
// lineage. What was found is the floor then, and a doubt is raised: a pass that begins after it and follows a sync tells. A pass that began
// before the doubt tells nothing, since the other process may have heard of zxid 7 after it.
type course struct {
	now    Generation // of the newest list that was placed
	floor  Generation // what another process has heard that is not known here; zero: no doubt is open
	doubts int64      // raised so far
	// stale is the zxid of the list that settled a doubt without a proof, when another process had found a new era of the same lineage: it may be of
	// the history before. Until there is a proof, or a higher one, the zxids of lists say nothing.
	stale int64
}

// recall begins with what was known before the first list.
func (c *course) recall(g Generation) {
	c.now = Generation{Lineage: g.Lineage, Era: g.Era}
	if g.Zxid == 0 {
		c.floor = Generation{} // there is nothing to be older than
		return
	}
	c.doubt(g)
}

// doubt raises a doubt, unless that one is open. In a registry that knows no zxids there is nothing to tell them apart by: its era is ours.
func (c *course) doubt(g Generation) {
	switch {
	case g == c.floor:
	case g.Zxid == 0 && g.Lineage == c.now.Lineage:
		c.now.Era = g.Era
	default:
		c.floor = g
		c.doubts++
	}
}

func (c *course) isOpen() bool { return c.floor != Generation{} }

// isAhead reports whether g is of the same lineage as the newest list that was placed, and later than that, and no earlier than what is in doubt.
func (c *course) isAhead(g Generation) bool {
	return g.Lineage == c.now.Lineage && c.now.Before(g) && (!c.isOpen() || !g.Before(c.floor))
}

// listed takes the next list, and reports whether it is of another history than the one before. While isOpen, it may be. complete says that all of the
// list is as new as its zxid.
func (c *course) listed(l *Listing, complete bool) (other bool) {
	settles := l.Synced && l.Doubt == c.doubts
	was, from := c.now, c.now
	if c.isOpen() && settles {
		from = c.floor
	}
	other = l.Lineage != was.Lineage || was.Era == 0
	if from.Era > was.Era { // as another process has found out
		c.stale = l.Zxid
	}
	zxid := l.Zxid
	if other || l.Proof || zxid > c.stale {
		c.stale = 0
	} else if c.stale > 0 {
		zxid = 0
	}
	switch {
	case c.isOpen() && !settles && other:
		return true // which of the two is later is not known yet
	case l.Lineage != from.Lineage || from.Era == 0:
		c.now = Generation{l.Lineage, from.Era + 1, l.Zxid}
		other = other || l.Proof && l.Zxid < was.Zxid
	case l.Proof && l.Zxid < from.Zxid:
		// The same path, the server has caught up, everything was read, and yet it is as it was earlier: restored from a backup.
		c.now = Generation{l.Lineage, from.Era + 1, l.Zxid}
		other = true
	case l.Lineage != was.Lineage: // as another process has found out, which may have counted fewer eras
		c.now = Generation{l.Lineage, max(from.Era, was.Era+1), max(from.Zxid, zxid)}
	default: // after a sync the list is no older than what anybody had heard, although not everything could be read
		c.now.Era, c.now.Zxid = from.Era, max(from.Zxid, zxid)
	}
	if settles || c.floor.Era < c.now.Era || complete && c.floor.Lineage == c.now.Lineage && !c.now.Before(c.floor) {
		c.floor = Generation{}
	}
	return other
}
