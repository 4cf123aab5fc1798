package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// The exit codes. They stay as they are.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitUnreachable  = 3
	exitNotFound     = 4
	exitNotConfirmed = 5
	exitFindings     = 6
	exitRefused      = 7
	exitOverruled    = 8
)

var exitCodes = []struct {
	code int
	when string
}{
	{exitOK, "done"},
	{exitFailed, "failed otherwise; the reason is on stderr"},
	{exitUsage, "the command line is wrong"},
	{exitUnreachable, "ZooKeeper cannot be reached, or has stopped answering"},
	{exitNotFound, "the service, instance or file is not there"},
	{exitNotConfirmed, "written, but the instance's process does not confirm"},
	{exitFindings, "done, and something is wrong, or differs: compare, file verify, file diff, doctor"},
	{exitRefused, "ZooKeeper refuses for lack of permission, or remove since the instance answers, has an owner, or has changed while it was asked"},
	{exitOverruled, "written, and the instance's process has put its own metadata back"},
}

func exitTable() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "  %d  %s\n", e.code, e.when)
	}
	return b.String()
}

// failure is an error with an exit code.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(code int, format string, args ...any) error {
	return &failure{code, fmt.Errorf(format, args...)}
}

// codeOf is the exit code for an error.
func codeOf(err error) int {
	var f *failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &f):
		return f.code
	case errors.Is(err, session.ErrNoNode):
		return exitNotFound
	case errors.Is(err, session.ErrNoAuth):
		return exitRefused
	case errors.Is(err, session.ErrNotConnected), errors.Is(err, session.ErrLost):
		return exitUnreachable
	}
	return exitFailed
}
