package session

import (
	"errors"
	"fmt"

	"github.com/go-zookeeper/zk"
)

// refusals are the codes of replies in words (org.apache.zookeeper.KeeperException.Code). Those that are about one node are go-zookeeper's errors.
var refusals = map[int32]error{
	codeNoNode:         ErrNoNode,
	codeNoAuth:         ErrNoAuth,
	codeSessionExpired: zk.ErrSessionExpired,
	codeSessionMoved:   zk.ErrSessionMoved,

	-1:   errors.New("the server failed"),
	-4:   errors.New("the server lost its own connection to the ensemble"),
	-5:   errors.New("the server could not read the request"),
	-6:   errors.New("the server does not know this kind of request"),
	-7:   errors.New("the server ran out of time"),
	-8:   errors.New("the server refuses the request's arguments"),
	-114: errors.New("the server refuses the access control list"),
	-115: errors.New("the server could not authenticate the client"),
	-119: errors.New("the server is read-only: it has no quorum"),
	-120: errors.New("ephemeral nodes need a global session"),
	-121: errors.New("there is no such watch"),
	-122: errors.New("the server did not finish the request in time"),
	-124: errors.New("the server demands credentials: SASL, or a scheme that it enforces"),
	-125: errors.New("the quota is used up"),
	-127: errors.New("the server is overloaded and throttles requests"),
}

// ending are the codes after which a server hangs up: they are the reason for the end of the connection that comes next.
var ending = map[int32]bool{-4: true, -6: true, codeSessionExpired: true, -115: true, codeSessionMoved: true, -119: true, -122: true, -124: true, -127: true}

// codeError is the error that a reply has instead of a body.
func codeError(code int32) error {
	if code == 0 {
		return nil
	}
	why := refusals[code]
	switch {
	case why == nil:
		return fmt.Errorf("ZooKeeper answers with code %d", code)
	case code > -100 || code <= -114 && code != codeSessionMoved:
		return fmt.Errorf("%w (code %d)", why, code)
	}
	return why // go-zookeeper's, with words of its own
}

// notOfANode is the refusal of a request that asks about no one node. What would be an answer about a node is none then, for any caller.
func notOfANode(request string, refusal error) error {
	if !isAny(refusal, ErrNoNode, ErrNoAuth) {
		return refusal
	}
	return errors.New("the server answers " + request + " with: " + refusal.Error())
}

// inWords is err, or says what it means where go-zookeeper has nothing but a code.
func inWords(err error) error {
	if err == nil {
		return nil
	}
	var code int32
	if _, no := fmt.Sscanf(err.Error(), "unknown error: %d", &code); no != nil || refusals[code] == nil {
		return err
	}
	return codeError(code)
}
