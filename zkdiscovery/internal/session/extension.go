package session

import (
	"os"
	"time"
)

// Extension is what a server can do beyond one-shot watches and single reads, and the session makes use of.
type Extension struct {
	Lasting bool // List leaves a watch that stays and tells of everything below the path (addWatch, 3.6); Read leaves none there
	Batches bool // Read asks for hundreds of nodes in one request (multiRead, 3.6)
}

// String is the extension in the words of Status, page and command.
func (e Extension) String() string {
	watches, reads := "one-shot watches", "single reads"
	if e.Lasting {
		watches = "persistent watches"
	}
	if e.Batches {
		reads = "batched reads"
	}
	return watches + ", " + reads
}

// Allowed is what of e the environment allows: nothing, where HOLDFAST_WIRE is off, for a program that cannot be built anew.
func (e Extension) Allowed() Extension {
	if os.Getenv("HOLDFAST_WIRE") == "off" {
		return Extension{}
	}
	return e
}

// rememberFor is how long a server is not asked again for what it has not. What it has it is asked for over every connection: another server may be
// behind the address by then, and a request in earnest, that it does not know, would cost a connection that serves.
const rememberFor = time.Hour

// maxHangUps is how many probes in a row a server may answer by hanging up before that is taken for a no. Once, it may have been the network.
// Of a server that has had what it is asked for, it was more likely so.
const (
	maxHangUps        = 2
	maxHangUpsIfItHad = 6
)

// ability is what is known of one of a server's abilities.
type ability struct {
	known   bool
	has     bool
	hangUps int
	until   time.Time // when the knowledge is too old
}

// abilities are those of the servers by address. Servers of one ensemble may differ during an upgrade. The Session's mu guards them.
type abilities map[string]*[2]ability

// of is the ability to answer op, opAddWatch or opMultiRead, of the server at addr.
func (a abilities) of(addr string, op int32, now time.Time) *ability {
	both := a[addr]
	if both == nil {
		for other, old := range a { // of names that have moved
			if now.After(old[0].until) && now.After(old[1].until) {
				delete(a, other)
			}
		}
		both = new([2]ability)
		a[addr] = both
	}
	one := &both[0]
	if op == opMultiRead {
		one = &both[1]
	}
	if now.After(one.until) {
		*one = ability{until: now.Add(rememberFor)}
	}
	return one
}

// note keeps an answer.
func (a abilities) note(addr string, op int32, has bool, now time.Time) {
	*a.of(addr, op, now) = ability{known: true, has: has, until: now.Add(rememberFor)}
}

// hungUp notes that the server has ended the connection on which op was the only request under way.
func (a abilities) hungUp(addr string, op int32, now time.Time) {
	one := a.of(addr, op, now)
	most := maxHangUps
	if one.has {
		most = maxHangUpsIfItHad
	}
	if one.hangUps++; one.hangUps >= most {
		a.note(addr, op, false, now)
	}
}

// extension is what the server at addr had of what is wanted when it was asked last, and what it is to be asked for: all that it is not known to lack.
func (a abilities) extension(addr string, wanted Extension, now time.Time) (ext Extension, ask []int32) {
	had := func(wanted bool, op int32) bool {
		one := a.of(addr, op, now)
		if wanted && (one.has || !one.known) {
			ask = append(ask, op)
		}
		return wanted && one.has
	}
	ext.Lasting = had(wanted.Lasting, opAddWatch)
	ext.Batches = had(wanted.Batches, opMultiRead)
	return ext, ask
}
