package zkdiscovery

import "time"

// releaseIdle is how long a clone that nobody uses keeps its mirror.
const releaseIdle = time.Minute

// use counts who uses a view. A watcher does until it is removed, a waiter until it returns, and any other call for releaseIdle. Watchers are
// counted where their channels are. The owner of a use guards it.
type use struct {
	waiters int
	called  time.Time // when the last call was made, or the last waiter or watcher left
}

// idleSince returns since when nobody has used the view, or that somebody does.
func (u use) idleSince(watchers int) (since time.Time, used bool) {
	return u.called, watchers > 0 || u.waiters > 0
}

// isOver reports whether the last use was long enough ago for the mirror to be let go.
func (u use) isOver(watchers int, now time.Time) bool {
	since, used := u.idleSince(watchers)
	return !used && now.Sub(since) >= releaseIdle
}
