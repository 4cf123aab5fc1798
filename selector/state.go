package selector

import "github.com/holdfast-go/holdfast/internal/words"

// State is how far a server is trusted.
type State uint8

const (
	Fresh   State = iota // a newcomer, or a server whose connection broke: it is asked in the background before a call goes there
	Up                   // used
	Aside                // it could not be connected: asked again in the background, after growing pauses
	Ejected              // calls failed: not used for a while, then asked in the background
	Trial                // it answers probes again, or has none: one call at a time tries it
	Drained              // weight 0, or state=inactive: not used while others have a weight
	Spare                // outside the subset
)

var stateNames = []string{"fresh", "up", "aside", "ejected", "trial", "drained", "spare"}

// String is the name in lower case.
func (s State) String() string { return words.Name(stateNames, "State", s) }

// MarshalText returns the name in lower case.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText sets the state that text names. An unknown name is an error.
func (s *State) UnmarshalText(text []byte) error { return words.Parse(stateNames, "state", text, s) }

// Reason is why a server is not up.
type Reason uint8

const (
	NoReason        Reason = iota
	DialFailed             // a call could not connect
	NoAnswer               // a probe in the background got no answer
	CallsFailed            // calls failed one after the other
	Outlying               // far more of its calls failed than of the others'
	ConnectionBroke        // a connection has just ended: it is asked whether it is still there
)

var reasonNames = []string{"", "dial failed", "no answer", "calls failed", "success rate far below the others'", "connection broke"}

// String is the reason in words, "" for NoReason.
func (r Reason) String() string { return words.Name(reasonNames, "Reason", r) }

// MarshalText returns the reason in words, "" for NoReason.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText sets the reason that text gives. Other words are an error.
func (r *Reason) UnmarshalText(text []byte) error { return words.Parse(reasonNames, "reason", text, r) }
