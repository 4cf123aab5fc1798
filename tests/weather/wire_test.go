package weather

import (
	"crypto/sha1"
	"encoding/base64"
	"strings"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// ops are the requests of discoveries and registrations.
var ops = [...]zktest.Op{
	zktest.OpGetChildren2, zktest.OpGetData, zktest.OpExists, zktest.OpSync, zktest.OpSetWatches, zktest.OpConnect, zktest.OpPing,
	zktest.OpCreate, zktest.OpMulti, zktest.OpSetData, zktest.OpDelete, zktest.OpClose, zktest.OpAddWatch, zktest.OpMultiRead, zktest.OpRemoveWatches,
}

// versions are those of the servers: 3.8 more often than the others.
var versions = [...]zktest.Version{zktest.Version34, zktest.Version35, zktest.Version38, zktest.Version38, zktest.Version39}

// codes are all errors of wire.md and those that go-zookeeper has names for.
var codes = [...]zktest.Code{-1, -2, -3, -4, -5, -6, -7, -8, -9, -101, -102, -103, -108, -110, -111, -112, -113, -114, -115, -118, -119, -121, -122, -124, -125, -127}

// digestOf is what an ACL has in the place of credentials.
func digestOf(credentials string) string {
	user, _, _ := strings.Cut(credentials, ":")
	sum := sha1.Sum([]byte(credentials))
	return user + ":" + base64.StdEncoding.EncodeToString(sum[:])
}

// isAnswer reports whether a code, as the answer to a read, says something about the tree: that would not be a fault but a lie.
func isAnswer(op zktest.Op, code zktest.Code) bool {
	switch op {
	case zktest.OpGetChildren2, zktest.OpGetData, zktest.OpExists:
		return code == zktest.CodeNoNode || code == zktest.CodeNoAuth
	default:
		return false
	}
}
