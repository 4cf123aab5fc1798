package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

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

	// These end a session: only a new one helps.
	errExpired  = errors.New("session expired")
	errOutdated = errors.New("ZooKeeper is behind what the session has seen: it was restored or replaced")
	errRewatch  = errors.New("watches could not be set again")

	// These end a connection.
	errSilent  = errors.New("no answer to pings within the session timeout")
	errRequest = errors.New("no answer to a request within the session timeout")
	errForeign = errors.New("not ZooKeeper's protocol")
	errTurned  = errors.New("handshake: hung up on: not serving, or behind what this client has seen, or this host has too many connections (maxClientCnxns)")
	errDropped = errors.New("closed")

	errNoLasting = errors.New("the server refuses a persistent watch")
	// errHalved ends an exchange whose batch had too long an answer. Smaller ones are asked for.
	errHalved = errors.New("the answer to a batch is over the size limit")
)

// timedOut reports that an attempt failed because nobody answered in time, not because somebody said no.
func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// requestError puts go-zookeeper's errors into the few classes that a caller decides by. cause is why the link ended, if it has.
func requestError(err, cause error) error {
	switch {
	case err == nil, isAny(err, ErrNoNode, ErrNoAuth):
		return err
	case isAny(err, zk.ErrConnectionClosed, zk.ErrNoServer, zk.ErrClosing), sessionGone(err):
		// The link is gone, or this session's requests are not answered on it any more: ask again on the next.
		return because(ErrLost, cause)
	case cause != nil:
		return because(ErrLost, err) // whatever go-zookeeper calls it: the error of a write to the socket, for instance
	default:
		return err // an answer of ZooKeeper's: the caller knows what it means for the request
	}
}

// sessionGone reports that ZooKeeper does not answer this session's requests on this link any more.
func sessionGone(err error) bool { return isAny(err, zk.ErrSessionExpired, zk.ErrSessionMoved) }

// isAny reports whether err is one of targets.
func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// because joins a class of error with the reason for it.
func because(class, cause error) error {
	if cause == nil || errors.Is(cause, class) {
		return class
	}
	return fmt.Errorf("%w: %w", class, cause)
}
