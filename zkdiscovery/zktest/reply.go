package zktest

import "encoding/binary"

// result is the outcome of a request, before it is written down for a client.
type result struct {
	kind     Op // in a multi: what has been done, or opError
	code     Code
	path     string
	data     []byte
	stat     Stat
	acl      []ACL
	children []string // the tree's own: good until the next change
	parts    []result
	ids      []identity // of a whoAmI
}

// sizeHint spares the encoder from growing a large reply step by step.
func (r *result) sizeHint() int {
	n := 80 + len(r.path) + len(r.data)
	for _, c := range r.children {
		n += 4 + len(c)
	}
	for i := range r.parts {
		n += r.parts[i].sizeHint()
	}
	return n + 100*len(r.acl)
}

// frameHeader is the room at the start of a reply for its length, xid, zxid and error; sealReply fills it in.
const frameHeader = 4 + 4 + 8 + 4

func sealReply(frame []byte, xid int32, zxid int64, code Code) []byte {
	binary.BigEndian.PutUint32(frame[0:], uint32(len(frame)-4)) //nolint:gosec // bounded
	binary.BigEndian.PutUint32(frame[4:], uint32(xid))          //nolint:gosec // the bits as they are
	binary.BigEndian.PutUint64(frame[8:], uint64(zxid))         //nolint:gosec // the bits as they are
	binary.BigEndian.PutUint32(frame[16:], uint32(code))        //nolint:gosec // the bits as they are
	return frame
}

func encodeConnectReply(timeoutMs int32, session int64, password []byte, readOnly bool) []byte {
	e := encoder{b: make([]byte, 4, 64)}
	e.int32(0) // protocol version
	e.int32(timeoutMs)
	e.int64(session)
	e.buffer(password)
	if readOnly {
		e.bool(false)
	}
	binary.BigEndian.PutUint32(e.b, uint32(len(e.b)-4)) //nolint:gosec // bounded
	return e.b
}

func encodeEvent(ev event, zxid int64) []byte {
	e := encoder{b: make([]byte, frameHeader, frameHeader+12+len(ev.path))}
	e.int32(int32(ev.kind))
	e.int32(stateSyncConnected)
	e.string(ev.path)
	return sealReply(e.b, xidEvent, zxid, CodeOK)
}

// encodeReply makes the frame that answers a request of kind.
func encodeReply(xid int32, zxid int64, kind Op, r *result) []byte {
	e := encoder{b: make([]byte, frameHeader, frameHeader+r.sizeHint())}
	if r.code == CodeOK {
		e.result(kind, r)
	}
	return sealReply(e.b, xid, zxid, r.code)
}

func (e *encoder) result(kind Op, r *result) {
	switch kind {
	case OpCreate, OpSync:
		e.string(r.path)
	case OpCreate2, OpCreateContainer, OpCreateTTL:
		e.string(r.path)
		e.stat(&r.stat)
	case OpExists, OpSetData, OpSetACL:
		e.stat(&r.stat)
	case OpGetData:
		e.buffer(r.data)
		e.stat(&r.stat)
	case OpGetACL:
		e.acls(r.acl)
		e.stat(&r.stat)
	case OpGetChildren:
		e.strings(r.children)
	case OpGetChildren2:
		e.strings(r.children)
		e.stat(&r.stat)
	case OpAddWatch:
		e.int32(int32(CodeOK))
	case OpWhoAmI:
		e.length(len(r.ids))
		for _, id := range r.ids {
			e.string(id.scheme)
			e.string(id.user())
		}
	case OpMulti, OpMultiRead:
		for i := range r.parts {
			e.part(&r.parts[i])
		}
		e.multiHeader(opError, true, -1)
	default: // delete, check, setWatches, close, ping: the header says it all
	}
}

func (e *encoder) part(p *result) {
	kind := p.kind
	switch kind {
	case opError:
		e.multiHeader(opError, false, p.code)
		e.int32(int32(p.code))
		return
	case OpCreateContainer: // has a result of the same form, and no number of its own there
		kind = OpCreate2
	default:
	}
	e.multiHeader(kind, false, CodeOK)
	e.result(kind, p)
}

func (e *encoder) multiHeader(kind Op, done bool, code Code) {
	e.int32(int32(kind))
	e.bool(done)
	e.int32(int32(code))
}
