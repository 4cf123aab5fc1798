package zktest

import "fmt"

// Version is a ZooKeeper that a Server is like, where versions differ in what a client can see.
type Version uint8

// The versions. Those between two of them are like the earlier one: 3.6 to 3.8 are alike in all that a Server does, but that 3.6 has no whoAmI.
const (
	Version34 Version = iota + 1 // no removal of watches, no containers, no /zookeeper/config; it tells also those who may not read
	Version35                    // no persistent watches, no multiRead, no whoAmI
	Version38                    // one mode of watch per connection and path: a later one takes the place of an earlier one. The default
	Version39                    // several modes; notifications have the zxid of what they tell; exists needs the permission to read
)

// MarshalText returns the version as ZooKeeper writes it.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// String is the version as ZooKeeper writes it.
func (v Version) String() string {
	switch v {
	case Version34:
		return "3.4"
	case Version35:
		return "3.5"
	case Version38:
		return "3.8"
	case Version39:
		return "3.9"
	default:
		return fmt.Sprintf("Version(%d)", uint8(v))
	}
}

// knows reports whether a server of the version understands a kind of request.
func (v Version) knows(kind Op) bool {
	switch kind {
	case OpMultiRead, OpAddWatch, OpSetWatches2, OpWhoAmI:
		return v >= Version38
	case OpCreate2, OpCreateContainer, OpCreateTTL, OpRemoveWatches:
		return v >= Version35
	case OpCheck: // by itself
		return v < Version39
	default:
		return kind.counted() != OpUnknown
	}
}
