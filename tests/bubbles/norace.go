//go:build !race

package bubbles

// raced tells whether the race detector watches.
const raced = false
