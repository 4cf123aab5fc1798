package selector

import "strconv"

// State is how far a server is trusted.
type State uint8

const (
	Fresh   State = iota // never answered yet: it is asked in the background first
	Up                   // used
	Aside                // nobody could connect: asked again in the background, after a growing while
	Ejected              // calls failed: not used for a while, then asked in the background
	Trial                // answered again, or cannot be asked: one call at a time tries it
	Drained              // weight 0, or state=inactive: not used while others have a weight
	Spare                // outside the subset
)

func (s State) String() string {
	switch s {
	case Fresh:
		return "fresh"
	case Up:
		return "up"
	case Aside:
		return "aside"
	case Ejected:
		return "ejected"
	case Trial:
		return "trial"
	case Drained:
		return "drained"
	case Spare:
		return "spare"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// Reason is why a server is not up.
type Reason uint8

const (
	NoReason    Reason = iota
	DialFailed         // a call could not connect
	NoAnswer           // a probe in the background got no answer
	CallsFailed        // calls failed one after the other
	Outlying           // far more of its calls failed than of the others'
)

func (r Reason) String() string {
	switch r {
	case NoReason:
		return ""
	case DialFailed:
		return "dial failed"
	case NoAnswer:
		return "no answer"
	case CallsFailed:
		return "calls failed"
	case Outlying:
		return "success rate far below the others'"
	}
	return "Reason(" + strconv.Itoa(int(r)) + ")"
}
