package zkdiscovery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
)

var errNoCache = errors.New("no cache file: WithoutCache")

// service keeps the list of one service path, for all views that show it. Its loop does; here is what others see of it.
type service struct {
	root   *root
	path   string
	number int64 // grows from service to service, also of one path
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}     // closed when the loop, and all that it started, are gone
	pokes  chan struct{}     // one token: look at what is under mu. Anybody sends
	keeper *filecache.Keeper // nil without a cache

	settled chan struct{} // closed by the loop when it has a list, or knows that there is none to begin with

	mu         sync.Mutex // guards what follows; nothing blocks or calls out under it
	views      map[*view]struct{}
	current    *list
	resting    int64     // State.Link of the connection whose answered pings confirm current; 0: none. The loop writes
	confirmed  time.Time // up to when current was confirmed while it rested
	memory     *memory   // what an earlier service of the path knew, for the loop to take
	fallbackAt time.Time // from then on the file may serve; zero: nobody is in a hurry
	failure    error     // why there is no list, once settled without one
	status     serviceStatus
}

func newService(r *root, path string, number int64) *service {
	ctx, cancel := context.WithCancel(r.ctx)
	sv := &service{
		root: r, path: path, number: number, ctx: ctx, cancel: cancel, ended: make(chan struct{}), pokes: make(chan struct{}, 1),
		settled: make(chan struct{}), views: make(map[*view]struct{}),
	}
	if !r.cfg.noCache {
		sv.keeper = r.keep(path)
	}
	return sv
}

// stop ends the loop and waits until everything of the service is gone.
func (sv *service) stop() {
	sv.cancel()
	<-sv.ended
}

// remember takes what an earlier service of the path knew.
func (sv *service) remember(m *memory) {
	sv.mu.Lock()
	sv.memory = newer(sv.memory, m)
	sv.mu.Unlock()
	sv.poke()
}

func (sv *service) poke() {
	select {
	case sv.pokes <- struct{}{}:
	default: // one is there already
	}
}

// settle says, once, that there is a list, or why there is none to begin with.
func (sv *service) settle(failure error) {
	select {
	case <-sv.settled:
		return
	default:
	}
	sv.mu.Lock()
	sv.failure = failure
	sv.mu.Unlock()
	close(sv.settled)
}

// noList is the error of a start that found no list.
func (sv *service) noList() error {
	sv.mu.Lock()
	fileErr := sv.failure
	sv.mu.Unlock()
	zkErr := sv.trouble()
	if zkErr == nil {
		zkErr = fmt.Errorf("no answer within %v", sv.root.cfg.startTimeout)
		if st := sv.root.session.State(); st.Connected {
			zkErr = fmt.Errorf("connected to %s, but the list is not read within %v: see WithStartTimeout", st.Server, sv.root.cfg.startTimeout)
		}
	}
	if fileErr == nil {
		fileErr = errors.New("not looked at in time")
	}
	return fmt.Errorf("%w: service %s: ZooKeeper at %s: %w; cache: %w", ErrNoSnapshot, sv.path, sv.root.cfg.servers(), zkErr, fileErr)
}

func (sv *service) note(f func(*serviceStatus)) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	f(&sv.status)
}

// viewsNow are the views of this moment.
func (sv *service) viewsNow() []*view {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	views := make([]*view, 0, len(sv.views))
	for v := range sv.views {
		views = append(views, v)
	}
	return views
}
