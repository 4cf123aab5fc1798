package session

import (
	"errors"
	"time"
)

// A server that does not know a kind of request answers so, out of turn, and hangs up. So what it can do is found out on a connection that does not
// serve yet: nothing but the one question is under way then. The session lives on, and whoever waits for a connection waits a moment longer.
//
// First comes a question that every server answers: 3.5 and later have configNode, and those before it are asked nothing else. It goes with the handshake,
// so that nobody waits for it. A server that has had what it is asked for is asked for it at once.

// errUnknown is why a connection ended on which the server was asked something that it does not know.
var errUnknown = errors.New("the server does not know this kind of request")

// extensionName has ZooKeeper's names of what older servers do not know.
var extensionName = map[int32]string{opAddWatch: "addWatch", opMultiRead: "multiRead", opRemove: "removeWatches"}

// errAgain is why a connection is made again: watches were set on it which the session would not have left, had it known the server.
var errAgain = errors.New("the server has persistent watches")

// ready notes that link k of line l can be asked: first, unless it is known to lack all that is wanted, what it can do; then it serves.
func (s *Session) ready(l *line, k *link) {
	s.mu.Lock()
	if s.state.Closed || s.line != l || isDone(k) {
		s.mu.Unlock()
		return
	}
	s.wg.Go(k.sendOwn)
	had, ask := s.abilities.extension(k.target.String(), s.cfg.Extension, time.Now())
	if len(ask) > 0 {
		s.wg.Go(func() {
			if k.probe(ask, had != (Extension{})) {
				s.up(l, k)
			}
		})
	}
	s.mu.Unlock()
	if len(ask) == 0 {
		s.up(l, k)
	}
}

// askFirst has the handshake ask whether k's server is of 3.5 or later, if that is not known. It is called before anything is sent.
func (s *Session) askFirst(k *link) {
	s.mu.Lock()
	had, ask := s.abilities.extension(k.target.String(), s.cfg.Extension, time.Now())
	s.mu.Unlock()
	if had == (Extension{}) && len(ask) > 0 && !k.target.asNew { // which ends with the handshake
		k.first = question(opExists, configNode)
		k.window.add(k.first)
	}
}

// isNew reports whether k's server is of 3.5 or later, and asks it if that was not done.
func (k *link) isNew() bool {
	x := k.first
	if x == nil { // the server was known when k began
		x = question(opExists, configNode)
		k.window.add(x)
	}
	err := k.line.s.await(k.line.ctx, k, k.sessionTimeout(), x)
	switch {
	case err == nil, errors.Is(err, ErrNoAuth): // which a server says that has it (since 3.8.4 and 3.9.2)
		k.removes.Store(removesWatches)
		return true
	case errors.Is(err, ErrNoNode):
		k.removes.Store(removesNothing)
	}
	return false
}

// probe finds out what k's server can do of what ask says, and reports whether k is to serve. had says that it could do some of it before.
func (k *link) probe(ask []int32, had bool) bool {
	s := k.line.s
	if !had && !k.isNew() {
		if k.removes.Load() == removesNothing {
			for _, op := range ask {
				s.noteAbility(k, op, false)
			}
		}
		return !isDone(k)
	}
	for len(ask) > 0 {
		op := ask[0]
		ask = ask[1:]
		k.probing.Store(op)
		path := configNode
		if op == opAddWatch {
			if path = s.somePath(); path == "" {
				path = configNode
			}
		}
		err := k.askProbe(op, path)
		if isDone(k) {
			return false // probing says at which question
		}
		k.probing.Store(0)
		switch {
		case err == nil, op == opMultiRead && isAny(err, ErrNoNode, ErrNoAuth): // of the node that was read
			s.noteAbility(k, op, true)
		case isCode(err, codeUnreadable):
			s.noteAbility(k, op, false)
		}
		if op == opAddWatch && (err == nil || isCode(err, codeUnreadable)) && len(ask) > 0 {
			s.noteAbility(k, opMultiRead, true) // both came with 3.6; should one be missing after all, its answer says so
			ask = nil
		}
		if op == opAddWatch && err == nil {
			s.dropUnwanted(k, path)
			if k.rewatched {
				k.end(errAgain)
				return false
			}
		}
	}
	return !isDone(k)
}

// askProbe asks one question and waits for the answer.
func (k *link) askProbe(op int32, path string) error {
	x := question(op, path)
	k.window.add(x)
	return k.line.s.await(k.line.ctx, k, k.sessionTimeout(), x)
}

// question is one request, of whose answer no more matters than whether it is a refusal.
func question(op int32, path string) *exchange {
	return &exchange{
		op: op, n: 1, path: func(int) string { return path }, take: func(_ int, refusal error, _ []byte) error { return refusal },
		done: make(chan struct{}),
	}
}

// noteAbility keeps what k's server has answered.
func (s *Session) noteAbility(k *link, op int32, has bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abilities.note(k.target.String(), op, has, time.Now())
	if has {
		k.removes.Store(removesWatches)
	}
	k.extension, _ = s.abilities.extension(k.target.String(), s.cfg.Extension, time.Now())
}

// forgetsWatches reports whether k's server is known to have lasting watches, so that others are not set again on it.
func (s *Session) forgetsWatches(k *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	forgets := s.cfg.Extension.Lasting && s.abilities.of(k.target.String(), opAddWatch, time.Now()).has
	if forgets {
		s.state.Forgotten++
	}
	return forgets
}

// somePath is one that is subscribed to, so that the watch which is asked for first is one that is needed; "" if there is none.
func (s *Session) somePath() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for path := range s.subs {
		return path
	}
	return ""
}

// dropUnwanted has the lasting watch on path taken away if nobody is subscribed to it any more.
func (s *Session) dropUnwanted(k *link, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.subs[path]) == 0 {
		k.window.dropLasting(path, k.line.watches)
	}
}

// probeEnded notes that k has ended before it served, at a question about what its server can do, and reports whether it is to be connected to
// again at once: it will not be asked that again, or not often. The caller holds mu.
func (s *Session) probeEnded(k *link) (again bool) {
	op, addr := k.probing.Load(), k.target.String()
	switch {
	case errors.Is(k.cause, errUnknown) && op == opRemove: // a server before 3.5 has taken the place of another
		s.abilities.note(addr, opAddWatch, false, time.Now())
		s.abilities.note(addr, opMultiRead, false, time.Now())
	case errors.Is(k.cause, errUnknown):
		s.abilities.note(addr, op, false, time.Now())
	case errors.Is(k.cause, errAgain):
	case op != 0 && k.told.Load() == 0: // without a word
		s.abilities.hungUp(addr, op, time.Now())
	default:
		return false
	}
	return true
}

// Distrust has the session do without lasting watches on the server that is connected, for an hour: for when one was found not to have told. The link
// of that number ends, as far as the callers are concerned, and another begins. It does nothing if that was the case before.
func (s *Session) Distrust(link int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Link == link {
		s.withoutLocked(s.link)
	}
}

// without is Distrust of the server of k.
func (s *Session) without(k *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withoutLocked(k)
}

func (s *Session) withoutLocked(k *link) {
	if k != s.link || !s.state.Connected || !s.state.Extension.Lasting {
		return
	}
	s.abilities.note(k.target.String(), opAddWatch, false, time.Now())
	k.extension.Lasting = false
	k.window.extend(k.extension)
	s.state.Link++
	s.state.Extension = k.extension
	s.tell()
}

// isCode reports whether err is the answer code.
func isCode(err error, code int32) bool { return err != nil && errors.Is(err, refusals[code]) }
