package serverplugin

import "github.com/holdfast-go/holdfast/internal/words"

// MarshalJSON returns the fields of Status in their order, for a page or a monitor. A key is the field's name with a small first letter. An error
// is what it says, and left out when it is nil; so is a time that is zero. A duration is a number of seconds, "sessionTimeoutSeconds". The
// session's id is a string in hexadecimal, as ZooKeeper writes it. Counters stand beside the others. These keys stay as they are; later versions
// may add some. It is not meant to be read back into a Status.
func (st Status) MarshalJSON() ([]byte, error) { return words.JSON(st, "SessionID") }

// MarshalJSON writes ServiceStatus as Status.MarshalJSON writes a Status. The owner is a session's id.
func (st ServiceStatus) MarshalJSON() ([]byte, error) { return words.JSON(st, "Owner") }
