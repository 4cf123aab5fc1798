package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/go-zookeeper/zk"
)

var (
	// ErrClosed is the answer to everything after Close.
	ErrClosed = errors.New("closed")
	// ErrNotConnected means that the request was not sent, because there is no session at the moment. It wraps why.
	ErrNotConnected = errors.New("not connected to ZooKeeper")
	// ErrLost means that the connection ended before the answer: a write may or may not have been executed.
	ErrLost = errors.New("connection to ZooKeeper lost")
	// ErrNoNode and ErrNoAuth are ZooKeeper's own answers.
	ErrNoNode = zk.ErrNoNode
	ErrNoAuth = zk.ErrNoAuth
	// ErrAuthRefused means that ZooKeeper refused the credentials.
	ErrAuthRefused = errors.New("ZooKeeper refused the credentials")
	// ErrReplyTooLarge means that a reply was longer than Config.MaxReply.
	ErrReplyTooLarge = errors.New("reply over the size limit")

	errExpired  = errors.New("session expired")
	errSilent   = errors.New("no answer to pings within the session timeout")
	errRequest  = errors.New("no answer to a request within the session timeout")
	errRewatch  = errors.New("watches could not be set again")
	errTurned   = errors.New("connection closed by ZooKeeper during the handshake (not serving, or behind what this client has seen)")
	errOutdated = errors.New("refused for longer than a session lasts")
)

// timedOut reports that an attempt failed because nobody answered in time, not because somebody said no.
func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// requestError puts go-zookeeper's errors into the few classes that a caller decides by. cause is why the link ended, if it has.
func requestError(err, cause error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, zk.ErrConnectionClosed), errors.Is(err, zk.ErrNoServer), errors.Is(err, zk.ErrClosing),
		errors.Is(err, zk.ErrSessionExpired), errors.Is(err, zk.ErrSessionMoved), errors.Is(err, errRequest):
		// The link is gone, or this session's requests are not answered on it any more: ask again on the next.
		return because(ErrLost, cause)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err // the caller's own limit
	default:
		return err // an answer of ZooKeeper's: the caller knows what it means for the request
	}
}

// because joins a class of error with the reason for it.
func because(class, cause error) error {
	if cause == nil || errors.Is(cause, class) {
		return class
	}
	return fmt.Errorf("%w: %w", class, cause)
}
