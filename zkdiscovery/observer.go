package zkdiscovery

import "time"

// Observer is a set of hooks for metrics; nil ones are skipped. They are called without any lock of the library's, on whatever goroutine
// publishes or saves, several at once: a hook must return soon, and must not call Close. One that panics is reported and goes on being called.
type Observer struct {
	// Published is called after a list was delivered to the watchers of one Discovery.
	Published func(Published)
	// Connection is called when the connection to ZooKeeper comes or goes. Of several quick changes only the last may be reported.
	Connection func(ConnectionChange)
	// Saved is called after an attempt to write the cache file.
	Saved func(Saved)
}

// Published is one delivery of a list.
type Published struct {
	Service   string
	Source    Source
	Revision  int64
	Instances int
	Watchers  int
}

// ConnectionChange is one change of the connection.
type ConnectionChange struct {
	Connected  bool
	NewSession bool
	Server     string
	Err        error // why it ended; of a new connection, why the one before ended
}

// Saved is one attempt to write the cache file.
type Saved struct {
	Service   string
	Instances int
	Took      time.Duration
	Err       error
}

// observe calls one of the user's hooks. One that panics has no say in what the library does, and is reported.
func (c *config) observe(call func(*Observer)) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("observer hook panicked", "panic", p)
		}
	}()
	call(&c.observer)
}
