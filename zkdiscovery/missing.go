package zkdiscovery

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// lookAgain is how long after a look the next one is made, while something was found missing.
const lookAgain = 20 * time.Second

// missing finds out whether the paths above the services exist. A service that does not exist is no error: nobody has registered it yet. A chroot
// or base path that does not exist looks the same to every service, and is a mistake in the configuration more often than not.
//
// It looks when ZooKeeper has said that a service does not exist: once per connection, however many services there are, and every lookAgain at most
// while something was found missing.
type missing struct {
	session      *session.Session
	log          *slog.Logger
	chroot, base string

	mu    sync.Mutex // guards what follows
	path  string     // the topmost path that does not exist; "": all exist, or nothing is known
	link  int64      // of the connection of the newest look; 0: look again
	begun time.Time  // when the newest look did
	look  int64      // which is the newest look; 0: none, or it has ended
	looks int64      // so many were begun
}

// now is the topmost path that does not exist, "" if all exist or nothing is known.
func (m *missing) now() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.path
}

// begin is told that a service does not exist, and whether it did before. It returns the number of the look to be made, 0 for none.
func (m *missing) begin(link int64, existed bool, now time.Time) (look int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	again := (m.path != "" || existed) && now.Sub(m.begun) >= lookAgain
	if m.look != 0 || link == m.link && !again {
		return 0
	}
	m.looks++
	m.look, m.link, m.begun = m.looks, link, now
	return m.look
}

// exists is told that a service exists, and so everything above it. A look under way is outdated.
func (m *missing) exists() {
	m.mu.Lock()
	was := m.path
	m.path, m.look = "", 0
	m.mu.Unlock()
	m.tell(was, "")
}

// run makes a look.
func (m *missing) run(ctx context.Context, look int64) {
	is, err := m.topmost(ctx)
	m.mu.Lock()
	if m.look != look {
		m.mu.Unlock()
		return
	}
	was := m.path
	m.look = 0
	if err != nil {
		m.link, is = 0, was
	}
	m.path = is
	m.mu.Unlock()
	m.tell(was, is)
}

// topmost asks from the base path upwards, until something exists.
func (m *missing) topmost(ctx context.Context) (path string, err error) {
	for below := m.base; below != "" || m.chroot != ""; below = below[:strings.LastIndexByte(below, '/')] {
		st, err := m.session.Stat(ctx, below)
		if err != nil || st != nil {
			return path, err
		}
		if path = m.chroot + below; below == "" {
			return path, nil
		}
	}
	return path, nil
}

// tell logs a change.
func (m *missing) tell(was, is string) {
	switch {
	case was == is:
	case is == "":
		m.log.Info("the path above the services exists now", "path", was)
	default:
		m.log.Warn("the path above the services does not exist: every list is empty until somebody creates it. Are chroot and base path right?", "path", is)
	}
}
