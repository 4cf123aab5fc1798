package harness

import "os"

// Watches is how many watches a client has for a service of so many znodes: one with persistent watches, else one on the list and one on each.
func Watches(znodes int) int {
	if os.Getenv("HOLDFAST_WIRE") == "off" {
		return 1 + znodes
	}
	return 1
}
