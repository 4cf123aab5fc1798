package session

import "encoding/binary"

// Frames of ZooKeeper's protocol, as far as a link reads along (org.apache.zookeeper.proto, zookeeper.jute): each is a 4-byte big-endian
// length and a body. The first of each direction is ConnectRequest and ConnectResponse; every later one starts with a header, xid and opcode
// (4 bytes each) in a request, xid, zxid and error (4, 8, 4) in a reply.
const (
	xidPing       = -2
	xidAuth       = -4 // this and the next are those of ZooKeeper's own client
	xidSetWatches = -8
	xidGoodbye    = -9 // nobody's

	opExists     = 3
	opGetData    = 4
	opChildren2  = 12
	opAuth       = 100
	opSetWatches = 101
	opClose      = -11

	codeNoNode = -101

	replyHeader = 16
	// A ConnectResponse is version, timeout in milliseconds, session id, password (4, 4, 8, 4 and 16 bytes), and since 3.4 one byte more.
	welcomeHeader   = 20
	shortestWelcome = welcomeHeader + 16
	longestWelcome  = 256
)

var be = binary.BigEndian

// newFrame begins a request: room for the length, and the header.
func newFrame(xid, op int32) []byte {
	return be.AppendUint32(be.AppendUint32(make([]byte, 4, 64), uint32(xid)), uint32(op))
}

// sealed puts the length of a frame in front of it.
func sealed(f []byte) []byte {
	be.PutUint32(f, uint32(len(f)-4))
	return f
}

func appendString[S string | []byte](f []byte, s S) []byte {
	return append(be.AppendUint32(f, uint32(len(s))), s...)
}

func appendStrings(f []byte, list []string) []byte {
	f = be.AppendUint32(f, uint32(len(list)))
	for _, s := range list {
		f = appendString(f, s)
	}
	return f
}

// authFrame is an AuthPacket: type, scheme, credentials.
func authFrame(a Auth) []byte {
	f := be.AppendUint32(newFrame(xidAuth, opAuth), 0)
	return sealed(appendString(appendString(f, a.Scheme), a.Credentials))
}

// setWatchesFrame is a SetWatches: the zxid at which the watches were left, then the paths of data, exist and child watches.
func setWatchesFrame(zxid int64, paths *[3][]string) []byte {
	f := be.AppendUint64(newFrame(xidSetWatches, opSetWatches), uint64(zxid))
	for _, kind := range [...]watchKind{dataWatch, existWatch, childWatch} {
		f = appendStrings(f, paths[kind])
	}
	return sealed(f)
}

// readOf returns which watch the request in a frame could leave: that of a read (xid, opcode, path, flag).
func readOf(f []byte) (watchKey, bool) {
	const path = 4 + 8 + 4
	if len(f) < path+1 {
		return watchKey{}, false
	}
	var kind watchKind
	switch be.Uint32(f[8:]) {
	case opExists:
		kind = existWatch
	case opGetData:
		kind = dataWatch
	case opChildren2:
		kind = childWatch
	default:
		return watchKey{}, false
	}
	if size := len(f) - path - 1; be.Uint32(f[12:]) != uint32(size) {
		return watchKey{}, false
	}
	return watchKey{string(f[path : len(f)-1]), kind}, true
}
