package probe

import "syscall"

// ours are the errors of Winsock that come from this machine; errno_unix.go has the reasons.
var ours = []syscall.Errno{
	syscall.WSAEACCES,
	10024, // WSAEMFILE
	10043, // WSAEPROTONOSUPPORT
	10047, // WSAEAFNOSUPPORT
	10048, // WSAEADDRINUSE
	10049, // WSAEADDRNOTAVAIL
	10050, // WSAENETDOWN
	10051, // WSAENETUNREACH
	10055, // WSAENOBUFS
	10065, // WSAEHOSTUNREACH
}
