package zkdiscovery

import "github.com/holdfast-go/holdfast/internal/words"

// MarshalText returns the name in lower case: "live".
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText sets the source that text names. An unknown name is an error.
func (s *Source) UnmarshalText(text []byte) error {
	return words.Parse(sourceNames[:], "source", text, s)
}

// MarshalJSON returns the fields of Status in their order, for a page or a monitor. A key is the field's name with a small first letter: "asOf",
// "cacheFile". A source is its name. An error is what it says, and left out when it is nil; so is a time that is zero. A duration is a number of
// seconds, "sessionTimeoutSeconds". The session's id and the zxid are strings in hexadecimal, as ZooKeeper writes them. Counters stand beside the
// others. These keys stay as they are; later versions may add some. It is not meant to be read back into a Status.
func (st Status) MarshalJSON() ([]byte, error) { return words.JSON(st, "SessionID", "Zxid") }

// MarshalJSON writes ConnectionEvent as Status.MarshalJSON writes a Status.
func (e ConnectionEvent) MarshalJSON() ([]byte, error) { return words.JSON(e, "SessionID") }
