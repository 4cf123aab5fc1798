//go:build !unix && !windows

package probe

import "syscall"

// ours are the errors that come from this machine: none is known of this platform.
var ours []syscall.Errno
