package session

import "encoding/binary"

// Frames of ZooKeeper's protocol, as far as a link reads along (org.apache.zookeeper.proto, zookeeper.jute): each is a 4-byte big-endian
// length and a body. The first of each direction is ConnectRequest and ConnectResponse; every later one starts with a header, xid and opcode
// (4 bytes each) in a request, xid, zxid and error (4, 8, 4) in a reply.
const (
	xidEvent      = -1
	xidPing       = -2
	xidAuth       = -4 // this and the next are those of ZooKeeper's own client
	xidSetWatches = -8
	xidGoodbye    = -9    // nobody's
	xidOwn        = -1000 // and less: the library's own requests. go-zookeeper counts from 0

	opCreate     = 1
	opDelete     = 2
	opExists     = 3
	opGetData    = 4
	opSetData    = 5
	opSync       = 9
	opPing       = 11
	opChildren2  = 12
	opCheck      = 13
	opMulti      = 14
	opRemove     = 18 // removeWatches
	opMultiRead  = 22
	opAuth       = 100
	opSetWatches = 101
	opAddWatch   = 106
	opWhoAmI     = 107 // 3.7
	opClose      = -11

	codeUnreadable     = -5 // the server could not read the request, or does not do what it asks
	codeUnknown        = -6 // the server does not know this kind of request, and hangs up
	codeNoNode         = -101
	codeNoAuth         = -102
	codeSessionExpired = -112
	codeSessionMoved   = -118

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

// anyWatch is the kind of watch that is removed: 1 would be those on children, 2 those on data. Servers before 3.9 take half of a persistent watch away
// for these (ZOOKEEPER-4472).
const anyWatch = 3

// recursiveWatch is the mode of an addWatch that tells of everything below the path.
const recursiveWatch = 1

// appendRead appends the frame of a read: xid, opcode, path, and whether it is to leave a watch. A sync is the same without; to remove watches it is
// their kind instead, to add one its mode. A whoAmI has nothing behind the opcode.
func appendRead(f []byte, xid, op int32, path string, watch bool) []byte {
	begin := len(f)
	f = be.AppendUint32(be.AppendUint32(append(f, 0, 0, 0, 0), uint32(xid)), uint32(op))
	if op != opWhoAmI {
		f = appendString(f, path)
	}
	switch {
	case op == opSync, op == opWhoAmI:
	case op == opRemove:
		f = be.AppendUint32(f, anyWatch)
	case op == opAddWatch:
		f = be.AppendUint32(f, recursiveWatch)
	case watch:
		f = append(f, 1)
	default:
		f = append(f, 0)
	}
	sealed(f[begin:])
	return f
}

// watchOf is the kind of watch that a read can leave.
func watchOf(op int32) watchKind {
	switch op {
	case opGetData:
		return dataWatch
	case opChildren2:
		return childWatch
	default:
		return existWatch
	}
}

// appendMultiRead appends the frame of a multiRead of the data of paths: each behind a header of its own (opcode 4, done 1, error 4), and a last
// header that says done. None leaves a watch.
func appendMultiRead(f []byte, xid int32, paths []string) []byte {
	header := func(op int32, done byte) {
		f = be.AppendUint32(append(be.AppendUint32(f, uint32(op)), done), ^uint32(0))
	}
	begin := len(f)
	f = be.AppendUint32(be.AppendUint32(append(f, 0, 0, 0, 0), uint32(xid)), opMultiRead)
	for _, path := range paths {
		header(opGetData, 0)
		f = append(appendString(f, path), 0)
	}
	header(-1, 1)
	sealed(f[begin:])
	return f
}
