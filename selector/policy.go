package selector

import "strconv"

// Policy is how a server is chosen among those that can be used.
type Policy int

const (
	P2C    Policy = iota // the less loaded of two random ones; the default
	Random               // any
)

func (p Policy) String() string {
	switch p {
	case P2C:
		return "P2C"
	case Random:
		return "Random"
	}
	return "Policy(" + strconv.Itoa(int(p)) + ")"
}
