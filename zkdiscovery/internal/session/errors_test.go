package session

import (
	"errors"
	"io"
	"testing"

	"github.com/go-zookeeper/zk"
)

func TestRequestErrorTellsAnswersFromLosses(t *testing.T) {
	throttled, pipe := errors.New("unknown error: -127"), errors.New("write: broken pipe")
	for _, tc := range []struct {
		name       string
		err, cause error
		want       error // nil: no error
		lost       bool
	}{
		{"an answer", nil, nil, nil, false},
		{"an answer, just before the end", nil, io.EOF, nil, false},
		{"a refusal", zk.ErrNoAuth, nil, ErrNoAuth, false},
		{"a refusal, just before the end", zk.ErrNoNode, io.EOF, ErrNoNode, false},
		{"a code that go-zookeeper does not know", throttled, nil, throttled, false},
		{"the end of the connection", zk.ErrConnectionClosed, io.EOF, io.EOF, true},
		{"the end of the line", zk.ErrClosing, nil, nil, true},
		{"the end of the session", zk.ErrSessionExpired, nil, nil, true},
		{"the session is on another server", zk.ErrSessionMoved, nil, nil, true},
		// go-zookeeper answers a request that it could not write with the socket's error, and ends the connection.
		{"a write that failed", pipe, pipe, pipe, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := requestError(tc.err, tc.cause)
			if errors.Is(got, ErrLost) != tc.lost || tc.want != nil && !errors.Is(got, tc.want) || tc.err == nil && got != nil {
				t.Errorf("%v, want %v, lost: %v", got, tc.want, tc.lost)
			}
		})
	}
}
