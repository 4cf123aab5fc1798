package selector

import "github.com/holdfast-go/holdfast/internal/words"

// MarshalJSON returns the fields of Status in their order, for a page or a monitor. A key is the field's name with a small first letter. These
// keys stay as they are; later versions may add some. It is not meant to be read back into a Status.
func (st Status) MarshalJSON() ([]byte, error) { return words.JSON(st) }

// MarshalJSON returns the fields of ServerStatus as that of Status does: "inFlight", "dialErrors". State and reason are words. A time that is zero
// is left out. The peak is a number of seconds, "peakSeconds".
func (st ServerStatus) MarshalJSON() ([]byte, error) { return words.JSON(st) }
