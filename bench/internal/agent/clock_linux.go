package agent

import (
	"time"

	"golang.org/x/sys/unix"
)

// clockOf is what a process has used of the processors: clock_getcpuclockid(3) makes a clock of a process's number in this way.
func clockOf(pid int) (time.Duration, bool) {
	const perProcess = 2 // CPUCLOCK_SCHED, in nanoseconds, of all its threads
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|perProcess), &t); err != nil { //nolint:gosec // a process's number has 22 bits
		return 0, false
	}
	return time.Duration(t.Nano()), true
}
