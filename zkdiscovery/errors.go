package zkdiscovery

import "errors"

var (
	// ErrClosed is returned by what waits for a Discovery that was closed.
	ErrClosed = errors.New("zkdiscovery: closed")
	// ErrNoSnapshot is returned by New when there is no list to begin with: ZooKeeper could not be asked within the start timeout, and no
	// file could serve. The error wraps both reasons.
	ErrNoSnapshot = errors.New("zkdiscovery: no list of instances: neither from ZooKeeper nor from the cache file")
)

// OpError is what went wrong with one operation on one path: a znode's, a service's or a file's. Its Err is the reason, for errors.Is and
// errors.As.
type OpError struct {
	Op   string // "list", "read", "connect", "load", "save", …
	Path string
	Err  error
}

// Error is one line: operation, path, reason.
func (e *OpError) Error() string { return "zkdiscovery: " + e.Op + " " + e.Path + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *OpError) Unwrap() error { return e.Err }
