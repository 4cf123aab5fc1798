package zktest

import "strconv"

// Op is a request's kind, numbered as on the wire.
type Op int32

// The kinds a Server understands. OpConnect, which opens or takes up a session, has no number on the wire; this one is the server's own.
const (
	OpConnect         Op = -10
	OpClose           Op = -11
	OpCreate          Op = 1
	OpDelete          Op = 2
	OpExists          Op = 3
	OpGetData         Op = 4
	OpSetData         Op = 5
	OpGetACL          Op = 6
	OpSetACL          Op = 7
	OpGetChildren     Op = 8
	OpSync            Op = 9
	OpPing            Op = 11
	OpGetChildren2    Op = 12
	OpCheck           Op = 13
	OpMulti           Op = 14
	OpCreate2         Op = 15
	OpRemoveWatches   Op = 18
	OpCreateContainer Op = 19
	OpCreateTTL       Op = 21
	OpMultiRead       Op = 22
	OpAuth            Op = 100
	OpSetWatches      Op = 101
	OpSetWatches2     Op = 105
	OpAddWatch        Op = 106
	OpWhoAmI          Op = 107

	// OpUnknown stands in Stats for all kinds that a Server does not understand, however many a client makes up. It is not on the wire.
	OpUnknown Op = -1000

	opError   Op = -1   // in the reply to a multi: this part has failed
	opMiscast Op = -100 // no operation: see kindInMulti
)

var opNames = map[Op]string{
	OpConnect: "connect", OpClose: "close", OpCreate: "create", OpDelete: "delete", OpExists: "exists", OpGetData: "getData",
	OpSetData: "setData", OpGetACL: "getACL", OpSetACL: "setACL", OpGetChildren: "getChildren", OpSync: "sync", OpPing: "ping",
	OpGetChildren2: "getChildren2", OpCheck: "check", OpMulti: "multi", OpCreate2: "create2", OpCreateContainer: "createContainer",
	OpRemoveWatches: "removeWatches", OpMultiRead: "multiRead", OpAddWatch: "addWatch", OpCreateTTL: "createTTL", OpAuth: "auth", OpSetWatches: "setWatches", OpSetWatches2: "setWatches2",
	OpWhoAmI: "whoAmI", OpUnknown: "unknown",
}

// String is ZooKeeper's own name of the kind.
func (o Op) String() string {
	if name, ok := opNames[o]; ok {
		return name
	}
	return "op " + strconv.Itoa(int(o))
}

// MarshalText returns ZooKeeper's own name of the kind, so that Stats are words in JSON.
func (o Op) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// counted is the kind under which a request is counted.
func (o Op) counted() Op {
	if _, known := opNames[o]; !known || o == OpConnect {
		return OpUnknown
	}
	return o
}

// writes reports whether an operation is a transaction, which takes up a zxid even when it fails.
func (o Op) writes() bool {
	switch o {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL, OpDelete, OpSetData, OpSetACL, OpCheck, OpMulti:
		return true
	default:
		return false
	}
}

// Code is an error in a reply, numbered as on the wire. It is an error itself; zero is none.
type Code int32

// The codes a Server answers with.
const (
	CodeOK                      Code = 0
	CodeRuntimeInconsistency    Code = -2 // in a multi: not tried, because an earlier part failed
	CodeMarshallingError        Code = -5
	CodeUnimplemented           Code = -6
	CodeBadArguments            Code = -8
	CodeNoNode                  Code = -101
	CodeNoAuth                  Code = -102
	CodeBadVersion              Code = -103
	CodeNoChildrenForEphemerals Code = -108
	CodeNodeExists              Code = -110
	CodeNotEmpty                Code = -111
	CodeSessionExpired          Code = -112
	CodeInvalidACL              Code = -114
	CodeAuthFailed              Code = -115
	CodeNoWatcher               Code = -121
)

var codeNames = map[Code]string{
	CodeOK: "ok", CodeRuntimeInconsistency: "not tried", CodeMarshallingError: "malformed request", CodeUnimplemented: "unimplemented",
	CodeBadArguments: "bad arguments", CodeNoNode: "no node", CodeNoAuth: "no permission", CodeBadVersion: "other version",
	CodeNoChildrenForEphemerals: "ephemeral nodes have no children", CodeNodeExists: "node exists", CodeNotEmpty: "node has children",
	CodeSessionExpired: "session expired", CodeInvalidACL: "invalid ACL", CodeAuthFailed: "authentication failed",
	CodeNoWatcher: "no such watch",
}

func (c Code) Error() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return "code " + strconv.Itoa(int(c))
}

// MarshalText returns the error in words.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.Error()), nil }

// Stat is a node's metadata as ZooKeeper reports it. Its fields are those of go-zookeeper's zk.Stat, so that one converts to the other.
type Stat struct {
	Czxid          int64 // transaction that created the node
	Mzxid          int64 // … last set its data
	Ctime          int64 // ms since the epoch
	Mtime          int64
	Version        int32 // how often the data was set
	Cversion       int32 // … a child was created or deleted
	Aversion       int32 // … the ACL was set
	EphemeralOwner int64 // the session that the node belongs to, or 0
	DataLength     int32
	NumChildren    int32
	Pzxid          int64 // transaction that last created or deleted a child; the node's own creation before that
}

// ACL is one entry of an access control list. Its fields are those of go-zookeeper's zk.ACL.
type ACL struct {
	Perms  int32
	Scheme string
	ID     string
}

const (
	permRead = 1 << iota
	permWrite
	permCreate
	permDelete
	permAdmin
	permAll = permRead | permWrite | permCreate | permDelete | permAdmin
)

type eventType int32

const (
	eventCreated eventType = 1 + iota
	eventDeleted
	eventDataChanged
	eventChildrenChanged
)

const stateSyncConnected = 3 // the only connection state that a notification of a server carries

const (
	xidEvent = -1
	xidPing  = -2
)
