package probe

import (
	"errors"
	"net"
	"slices"
	"syscall"
)

// Answer is what became of asking an instance.
type Answer uint8

// The answers. Only Alive and Silent say something about the instance.
const (
	CouldNotAsk Answer = iota // this process, its network or its name server failed, or there was no time: the instance was not asked
	Alive                     // the instance is there
	Silent                    // it was asked: it refused, somebody else answered, or nobody did in time
	Unaskable                 // the probe does not know the network
)

func (a Answer) String() string {
	switch a {
	case CouldNotAsk:
		return "could not ask"
	case Alive:
		return "alive"
	case Silent:
		return "silent"
	case Unaskable:
		return "unaskable"
	}
	return "unknown"
}

// Outcome is an answer with the reason for the log. Err is nil when the instance is alive.
type Outcome struct {
	Answer
	Err error
}

// outcomeOf tells what the error of a probe says. The caller's context has not ended.
func outcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return Outcome{Alive, nil}
	case errors.Is(err, errors.ErrUnsupported):
		return Outcome{Unaskable, err}
	case isOurs(err):
		return Outcome{CouldNotAsk, err}
	}
	return Outcome{Silent, err}
}

// isOurs reports whether an error comes from this side, before the instance was asked.
func isOurs(err error) bool {
	if errno, ok := errors.AsType[syscall.Errno](err); ok && slices.Contains(ours, errno) {
		return true
	}
	// A name server that says that there is no such name has answered. One that is silent, or fails, has not.
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && !dns.IsNotFound
}
