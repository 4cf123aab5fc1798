//go:build unix

package probe

import "syscall"

// ours are the errors of connect(2) and socket(2) that come from this machine. A router that knows no way to the instance is told as the same
// error as a machine without a way of its own. It counts as ours: an instance that is held leaves when its hold ends.
var ours = []syscall.Errno{
	syscall.EMFILE, syscall.ENFILE, // no descriptor
	syscall.ENOBUFS, syscall.ENOMEM, // no memory in the kernel
	syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EAGAIN, // no local port; EAGAIN also: the backlog of a unix socket that is there is full
	syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, // no way
	syscall.EACCES, syscall.EPERM, // a local firewall, or the rights on a unix socket
	syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT, // a machine without IPv6, say
}
