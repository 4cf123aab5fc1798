package zktest

// request is one operation as a client asked for it; which fields count depends on kind.
type request struct {
	kind    Op
	path    string
	data    []byte // nil and empty differ, as in ZooKeeper
	acl     []ACL
	flags   int32
	version int32 // of a removeWatches: the kind of watch; of an addWatch: its mode
	watch   bool
	parts   []request   // of a multi or a multiRead
	watches watchesLost // of a setWatches
	scheme  string      // of an auth, with its credentials in data
}

// watchesLost is what a client asks to have again after it has lost its connection.
type watchesLost struct {
	zxid               int64 // the last that the client has seen
	data, exist, child []string
	persistent         []string
	recursive          []string
}

// decodeRequest reads the record of an operation. The kinds it does not know are for the caller to refuse; they decode to nothing.
func decodeRequest(kind Op, b []byte) (request, error) {
	d := decoder{b: b}
	r := d.request(kind)
	return r, d.err
}

func (d *decoder) request(kind Op) request {
	r := request{kind: kind}
	switch kind {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		r.path, r.data, r.acl, r.flags = d.path(), d.buffer(), d.acls(), d.int32()
		if kind == OpCreateTTL {
			d.int64() // the time to live: no node gets one, see txn.create
		}
	case OpDelete:
		r.path, r.version = d.path(), d.int32()
	case OpCheck: // this and the following look at the path themselves before they use it, so that null is a bad argument
		r.path, r.version = d.string(), d.int32()
	case OpSetData:
		r.path, r.data, r.version = d.string(), d.buffer(), d.int32()
	case OpSetACL:
		r.path, r.acl, r.version = d.string(), d.acls(), d.int32()
	case OpExists, OpGetData, OpGetChildren, OpGetChildren2:
		r.path, r.watch = d.path(), d.bool()
	case OpGetACL:
		r.path = d.path()
	case OpSync: // does not look at it at all
		r.path = d.string()
	case OpRemoveWatches, OpAddWatch:
		r.path, r.version = d.path(), d.int32()
	case OpMulti, OpMultiRead:
		r.parts = d.parts(kind)
	case OpAuth:
		d.int32()
		r.scheme, r.data = d.string(), d.buffer()
	case OpSetWatches, OpSetWatches2:
		r.watches = watchesLost{zxid: d.int64(), data: d.paths(), exist: d.paths(), child: d.paths()}
		if kind == OpSetWatches2 {
			r.watches.persistent, r.watches.recursive = d.paths(), d.paths()
		}
	default: // ping, close, whoAmI: no record
	}
	return r
}

// parts reads the operations of a multi, which writes, or of a multiRead: each behind a header of its own, up to the header that says done.
func (d *decoder) parts(of Op) []request {
	var list []request
	for d.err == nil {
		kind, done := Op(d.int32()), d.bool()
		d.int32() // an error, which means something in replies only
		if done || d.err != nil {
			break
		}
		if of == OpMultiRead {
			if kind != OpGetData && kind != OpGetChildren {
				d.err = errMalformed
				break
			}
			list = append(list, d.request(kind))
			continue
		}
		switch kind {
		case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
			r := d.request(kind)
			r.kind = kindInMulti(kind, r.flags)
			list = append(list, r)
		case OpDelete, OpSetData, OpCheck:
			list = append(list, d.request(kind))
		default:
			d.err = errMalformed
		}
	}
	return list
}

// kindInMulti is the kind that a create in a multi really has. ZooKeeper goes by the flags there and not by the kind that was sent, and
// trips over its own record when only the flags ask for a time to live.
func kindInMulti(sent Op, flags int32) Op {
	switch mode, _ := modeOf(flags); {
	case mode.ttl && sent != OpCreateTTL:
		return opMiscast
	case mode.ttl:
		return OpCreateTTL
	case mode.container:
		return OpCreateContainer
	default:
		return OpCreate
	}
}

// connectRequest is the first frame of every connection.
type connectRequest struct {
	lastZxid  int64
	timeoutMs int32
	session   int64
	password  []byte
	readOnly  bool // whether the client sent the flag that 3.4 added; it is then answered with one
}

func decodeConnectRequest(b []byte) (connectRequest, error) {
	d := decoder{b: b}
	d.int32() // protocol version, of which there is one
	r := connectRequest{lastZxid: d.int64(), timeoutMs: d.int32(), session: d.int64(), password: d.buffer()}
	if d.err == nil && len(d.b) > 0 {
		d.bool()
		r.readOnly = true
	}
	return r, d.err
}
