//go:build unix

package probe

import (
	"math"
	"os"
	"syscall"
)

// freeDescriptors is how many file descriptors this process may still open. Where the open ones cannot be counted it is how many it may have.
func freeDescriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	most := int(min(uint64(limit.Cur), math.MaxInt32)) // the field's type differs between platforms
	return max(0, most-openDescriptors(most))
}

// openDescriptors counts the open descriptors. A process that has none left cannot look, so it has most.
func openDescriptors(most int) int {
	dir, err := os.Stat("/proc/self/fd")
	if err != nil {
		return 0 // not Linux
	}
	if n := int(dir.Size()); n > 0 { // Linux 6.2 counts
		return n
	}
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return most
	}
	return len(names)
}
