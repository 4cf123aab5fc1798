package session

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Issue 10, V7: where a server demanded credentials, people were told "EOF", since it hangs up right behind its answer.
func TestReasonThatTheServerToldIsNotReplacedByTheEndOfTheConnection(t *testing.T) {
	for code, words := range map[zktest.Code]string{
		-4: "lost its own connection", -115: "authenticate", -119: "read-only", -122: "in time", -124: "demands credentials", -127: "throttles",
	} {
		bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
			log := &journal{}
			cfg.Logger = slog.New(log)
			s := connected(t, cfg)
			settle(time.Minute)
			zk.FailNext(zktest.OpGetChildren2, code, 1)
			if _, err := s.List(t.Context(), "/app"); err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%d: the request's error: %v", code, err)
			}
			zk.DropConnections()
			settle(0)
			if err := s.State().Err; !strings.Contains(err.Error(), words) || !errors.Is(err, io.EOF) {
				t.Errorf("%d: why there is no connection: %v", code, err)
			}
			if len(log.seen("connection to ZooKeeper lost", words)) != 1 {
				t.Errorf("%d: %v", code, log.seen())
			}
		})
	}
}

// What was answered long ago is not why a connection ends.
func TestReasonThatTheServerToldIsForgottenWithItsNextAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		zk.FailNext(zktest.OpGetChildren2, -127, 1)
		_, _ = s.List(t.Context(), "/app")
		settle(time.Minute)
		zk.DropConnections()
		settle(0)
		if err := s.State().Err; strings.Contains(err.Error(), "throttles") {
			t.Error(err)
		}
	})
}

// go-zookeeper knows less than half of the codes.
func TestRefusalOfAWriteIsToldInWords(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		s := connected(t, cfg)
		for _, ops := range [][]Op{{Set{Path: "/app", Version: -1}}, {Set{Path: "/app", Version: -1}, Set{Path: "/app", Version: -1}}} {
			op := zktest.OpSetData
			if len(ops) > 1 {
				op = zktest.OpMulti
			}
			zk.FailNext(op, -125, 1)
			if _, err := s.Write(t.Context(), 1, ops...); err == nil || err.Error() != "the quota is used up (code -125)" {
				t.Error(err)
			}
			zk.FailNext(op, -300, 1)
			if _, err := s.Write(t.Context(), 1, ops...); err == nil || err.Error() != "unknown error: -300" {
				t.Error(err)
			}
		}
	})
}

func TestCodesOfNodesAreErrorsToDecideBy(t *testing.T) {
	for code, want := range map[int32]error{codeNoNode: ErrNoNode, codeNoAuth: ErrNoAuth} {
		if err := codeError(code); !errors.Is(err, want) || err.Error() != want.Error() {
			t.Errorf("%d: %v", code, err)
		}
	}
	if !sessionGone(codeError(codeSessionExpired)) || !sessionGone(codeError(codeSessionMoved)) || codeError(0) != nil || inWords(nil) != nil {
		t.Error("not the end of a session")
	}
}
