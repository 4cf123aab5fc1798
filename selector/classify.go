package selector

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/smallnest/rpcx/client"
)

// classify tells what an error that a call returned says about the server.
func classify(err error) outcome {
	if e, ok := errors.AsType[client.ServiceError](err); ok && e.IsServiceError() {
		return serviceError
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut
	case errors.Is(err, context.Canceled),
		errors.Is(err, client.ErrUnsupportedCodec),
		errors.Is(err, client.ErrServerUnavailable):
		return cancelled
	case errors.Is(err, client.ErrShutdown):
		// This side had closed the connection, because of what another call had met there and told.
		return cancelled
	default:
		return transportFailed
	}
}

// isNetwork reports whether an error can only have come from a connection. rpcx makes strings of some of them.
func isNetwork(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.HasPrefix(err.Error(), "net.OpError")
}
