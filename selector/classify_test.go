package selector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// What comes neither from the network nor from the server is not held against the server: a reply that the caller cannot decode, above all, whose error
// rpcx gives to everybody who waits on that connection.
func TestOnlyErrorsOfTheNetworkAreHeldAgainstAServer(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want health.Outcome
	}{
		{nil, health.Answered},
		{client.NewServiceError("no such account"), health.Refused},
		{fmt.Errorf("call: %w", context.DeadlineExceeded), health.Late},
		{client.ErrBreakerOpen, health.NotSent},
		{client.ErrUnsupportedCodec, health.NotSent},
		{io.EOF, health.Broken},
		{fmt.Errorf("read: %w", net.ErrClosed), health.Broken},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, health.Broken},
		{errors.New("wrong magic number: 80"), health.Broken},
		{errors.New("msgpack: invalid code=a5 decoding int64"), health.GivenUp},
		{errors.New("json: cannot unmarshal string into Go value of type int"), health.GivenUp},
		{client.ErrShutdown, health.GivenUp},
		{context.Canceled, health.GivenUp},
	} {
		if got := classify(tc.err); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.err, got, tc.want)
		}
	}
}
