package serverplugin

import "github.com/holdfast-go/holdfast/internal/words"

// Phase says how far a service's registration is.
type Phase uint8

const (
	// Pending is a service that is not registered yet, or is not known to be.
	Pending Phase = iota
	// Registered is a service whose node exists and belongs to this process's session.
	Registered
	// Yielded is a service whose address was lost to a newer process. It is registered again when that one's node is gone.
	Yielded
	// Unregistering is a service whose node is to be removed.
	Unregistering
)

var phaseNames = []string{"pending", "registered", "yielded", "unregistering"}

// String is the phase in lower case.
func (p Phase) String() string { return words.Name(phaseNames, "phase", p) }

// MarshalText returns the phase in lower case.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText sets the phase that text names. An unknown name is an error.
func (p *Phase) UnmarshalText(text []byte) error { return words.Parse(phaseNames, "phase", text, p) }
