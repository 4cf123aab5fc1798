package serverplugin

import "errors"

var (
	// ErrStopped is returned by what needs a plugin that runs, after Stop.
	ErrStopped = errors.New("serverplugin: stopped")
	// ErrUnconfirmed is returned, wrapped, by Unregister, Drain and Shutdown when ZooKeeper has not confirmed in time that a node is gone, or that
	// it says state=inactive. The node is removed when ZooKeeper is back, or goes with the session.
	ErrUnconfirmed = errors.New("not confirmed by ZooKeeper yet")
	// ErrNotRegistered is wrapped by the errors of SetMetadata and ClearOperator for a service that is not to be registered.
	ErrNotRegistered = errors.New("the service is not registered")
	// ErrYielded is wrapped by WaitRegistered's error when the address was lost to a newer process.
	ErrYielded = errors.New("the address was lost to a newer process")
)

// OpError is what went wrong with one operation on one znode. Its Err is the reason, for errors.Is and errors.As.
type OpError struct {
	Op   string // "register", "unregister", "drain", "set metadata of", "clear the operator's words on"
	Path string
	Err  error
}

// Error is one line: operation, path, reason.
func (e *OpError) Error() string {
	return "serverplugin: " + e.Op + " " + e.Path + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *OpError) Unwrap() error { return e.Err }
