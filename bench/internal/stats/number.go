package stats

import (
	"encoding/json"
	"fmt"
	"math"
)

// Number is a float64 that may be infinite, which JSON's cannot: what never happened is "never" there.
type Number float64

// Never reports whether it is infinite.
func (n Number) Never() bool { return math.IsInf(float64(n), 1) }

// MarshalJSON writes "never" for what is infinite.
func (n Number) MarshalJSON() ([]byte, error) {
	if n.Never() {
		return []byte(`"never"`), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == `"never"` {
		*n = Number(math.Inf(1))
		return nil
	}
	if err := json.Unmarshal(b, (*float64)(n)); err != nil {
		return fmt.Errorf("a number or \"never\": %w", err)
	}
	return nil
}
