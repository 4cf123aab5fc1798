package zktest

import (
	"fmt"
	"testing"
)

// Start returns a running server for a test. It listens on a free port of 127.0.0.1, which Addr names, and can be reached with Dial, too. It is closed
// when the test and its subtests are over: close your clients before that, by a Cleanup of their own or a defer, if you want them to
// end in peace. Options that contradict one another or are out of their bounds fail the test.
//
// A bubble of testing/synctest cannot have it, since a listener stops a bubble's clock: use NewServer and Dial there.
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	if _, err := newConfig(opts); err != nil {
		tb.Fatal(fmt.Errorf("zktest: %w", err))
	}
	s := NewServer(opts...)
	tb.Cleanup(s.Close)
	if err := s.Listen(loopback(0)); err != nil {
		tb.Fatal(err)
	}
	return s
}
