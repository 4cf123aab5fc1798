package zktest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// printer writes answers down so that those of two servers can be compared.
type printer struct {
	base    int64         // zxids are told from here
	owners  map[int64]int // sessions by their number in the run
	started time.Time
}

func (p *printer) zxid(z int64) string {
	if z < p.base || p.base == 0 {
		return fmt.Sprint(z)
	}
	return fmt.Sprintf("+%d", z-p.base)
}

// answer prints the answer to a request of kind; kind does not matter for a notification.
func (p *printer) answer(kind Op, a answer) string {
	var b strings.Builder
	d := &decoder{b: a.body}
	if a.xid == xidEvent {
		fmt.Fprintf(&b, "event zxid %s: type %d state %d %s", p.zxid(a.zxid), d.int32(), d.int32(), d.string())
	} else {
		fmt.Fprintf(&b, "xid %d zxid %s code %d:", a.xid, p.zxid(a.zxid), a.code)
		if a.code == CodeOK {
			p.record(&b, d, kind)
		}
	}
	if d.err != nil {
		fmt.Fprintf(&b, " %v", d.err)
	}
	if len(d.b) > 0 {
		fmt.Fprintf(&b, " and %d bytes", len(d.b))
	}
	return b.String()
}

func (p *printer) record(b *strings.Builder, d *decoder, kind Op) {
	switch kind {
	case OpCreate, OpSync:
		fmt.Fprintf(b, " %q", d.string())
	case OpCreate2, OpCreateContainer, OpCreateTTL:
		fmt.Fprintf(b, " %q %s", d.string(), p.stat(d.stat()))
	case OpExists, OpSetData, OpSetACL:
		fmt.Fprintf(b, " %s", p.stat(d.stat()))
	case OpGetData:
		fmt.Fprintf(b, " %#v %s", d.buffer(), p.stat(d.stat()))
	case OpGetACL:
		acl := d.acls()
		slices.SortFunc(acl, func(a, b ACL) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Perms, b.Perms)) })
		fmt.Fprintf(b, " %v %s", acl, p.stat(d.stat())) // sorted: ZooKeeper keeps a caller's identities in a hash table
	case OpGetChildren:
		fmt.Fprintf(b, " %v", sorted(d.strings()))
	case OpGetChildren2:
		fmt.Fprintf(b, " %v %s", sorted(d.strings()), p.stat(d.stat()))
	case OpAddWatch:
		fmt.Fprintf(b, " %d", d.int32())
	case OpWhoAmI:
		var all []string
		for range d.int32() {
			all = append(all, fmt.Sprintf("%s:%s", d.string(), d.string()))
		}
		fmt.Fprintf(b, " %v", sorted(all)) // as above
	case OpMulti, OpMultiRead:
		for {
			kind, done, code := Op(d.int32()), d.bool(), d.int32()
			fmt.Fprintf(b, " [%d %v %d", kind, done, code)
			if done || d.err != nil {
				fmt.Fprint(b, "]")
				return
			}
			if kind == opError {
				fmt.Fprintf(b, " %d", d.int32())
			} else {
				p.record(b, d, kind)
			}
			fmt.Fprint(b, "]")
		}
	default:
	}
}

// stat tells times only as far as they can be equal on two servers.
func (p *printer) stat(s Stat) string {
	times := "times ok"
	now := time.Now()
	first, last := p.started.Add(-time.Second).UnixMilli(), now.Add(time.Second).UnixMilli()
	switch {
	case s.Czxid < p.base: // made before this run
	case s.Ctime < first || s.Ctime > last || s.Mtime < s.Ctime || s.Mtime > last:
		times = fmt.Sprintf("ctime %d mtime %d", s.Ctime, s.Mtime)
	case s.Mzxid == s.Czxid && s.Mtime != s.Ctime:
		times = "mtime is not ctime"
	}
	owner := fmt.Sprint(s.EphemeralOwner)
	if i, ok := p.owners[s.EphemeralOwner]; ok {
		owner = fmt.Sprintf("session %d", i)
	}
	return fmt.Sprintf("c%s m%s p%s v%d cv%d av%d owner %s len %d children %d, %s", p.zxid(s.Czxid), p.zxid(s.Mzxid), p.zxid(s.Pzxid),
		s.Version, s.Cversion, s.Aversion, owner, s.DataLength, s.NumChildren, times)
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
