package selector

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// classify tells what the error of a request says about the server. Only what came from the network, or is not rpcx, is held against it: rpcx ends a
// connection for everybody when one caller's reply has the wrong type, and all who wait get that error.
func classify(err error) health.Outcome {
	switch {
	case err == nil:
		return health.Answered
	case isService(err):
		return health.Refused
	case errors.Is(err, context.DeadlineExceeded):
		return health.Late
	case errors.Is(err, client.ErrUnsupportedCodec), errors.Is(err, client.ErrServerUnavailable), errors.Is(err, client.ErrBreakerOpen):
		return health.NotSent
	case isNetwork(err):
		return health.Broken
	}
	return health.GivenUp // also client.ErrShutdown: this side had closed the connection
}

func isService(err error) bool {
	e, ok := errors.AsType[client.ServiceError](err)
	return ok && e.IsServiceError()
}

// isNetwork reports whether an error can only have come from a connection, or from something that does not speak rpcx. rpcx makes strings of some.
func isNetwork(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok { // a syscall.Errno is one, too
		return true
	}
	known := []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, protocol.ErrMetaKVMissing, protocol.ErrMessageTooLong}
	said := err.Error()
	return slices.ContainsFunc(known, func(is error) bool { return errors.Is(err, is) }) ||
		strings.HasPrefix(said, "net.OpError") || strings.HasPrefix(said, "wrong magic number")
}
