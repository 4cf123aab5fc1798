package contender

import (
	"errors"
	"sync"

	"github.com/go-zookeeper/zk"
	"github.com/smallnest/rpcx/client"
)

// floor is bare go-zookeeper: an event, a list, a read of what is new, and the list is out. It does nothing about
// anything that goes wrong, so nobody should use it; it shows what a client that leaves its reads to go-zookeeper cannot be better than.
type floor struct {
	conn *zk.Conn
	path string

	mu       sync.Mutex
	wake     *sync.Cond
	events   []zk.Event
	closed   bool
	list     map[string]string
	pairs    []*client.KVPair
	watchers []chan []*client.KVPair
}

// readers is how many reads are on their way at once.
const readers = 64

func openFloor(c Config) (client.ServiceDiscovery, error) {
	f := &floor{path: "/" + c.Base + "/" + c.Service, list: make(map[string]string)}
	f.wake = sync.NewCond(&f.mu)
	conn, _, err := zk.Connect(c.Servers, c.SessionTimeout, zk.WithLogInfo(false), zk.WithEventCallback(f.event))
	if err != nil {
		return nil, err
	}
	f.conn = conn
	if err := f.listChildren(); err != nil {
		conn.Close()
		return nil, err
	}
	go f.run()
	return f, nil
}

// event is called on go-zookeeper's own goroutine.
func (f *floor) event(e zk.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
	f.wake.Signal()
}

func (f *floor) run() {
	for {
		f.mu.Lock()
		for len(f.events) == 0 && !f.closed {
			f.wake.Wait()
		}
		events, closed := f.events, f.closed
		f.events = nil
		f.mu.Unlock()
		if closed {
			return
		}
		for _, e := range events {
			var err error
			switch e.Type { //nolint:exhaustive // the others are not needed
			case zk.EventNodeChildrenChanged:
				err = f.listChildren()
			case zk.EventNodeDataChanged:
				if err = f.read(e.Path[len(f.path)+1:]); err == nil {
					f.publish()
				}
			}
			if err != nil {
				return
			}
		}
	}
}

func (f *floor) listChildren() error {
	names, _, _, err := f.conn.ChildrenW(f.path)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(names))
	var fresh []string
	f.mu.Lock()
	for _, name := range names {
		there[name] = true
		if _, known := f.list[name]; !known {
			fresh = append(fresh, name)
		}
	}
	for name := range f.list {
		if !there[name] {
			delete(f.list, name)
		}
	}
	f.mu.Unlock()
	if err := f.readAll(fresh); err != nil {
		return err
	}
	f.publish()
	return nil
}

func (f *floor) readAll(names []string) error {
	if len(names) == 1 {
		return f.read(names[0])
	}
	todo := make(chan string)
	var failed error
	var wg sync.WaitGroup
	for range min(readers, len(names)) {
		wg.Go(func() {
			for name := range todo {
				if err := f.read(name); err != nil {
					f.mu.Lock()
					failed = err
					f.mu.Unlock()
				}
			}
		})
	}
	for _, name := range names {
		todo <- name
	}
	close(todo)
	wg.Wait()
	return failed
}

func (f *floor) read(name string) error {
	data, _, _, err := f.conn.GetW(f.path + "/" + name)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.list[name] = string(data)
	f.mu.Unlock()
	return nil
}

func (f *floor) publish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	pairs := make([]*client.KVPair, 0, len(f.list))
	for k, v := range f.list {
		pairs = append(pairs, &client.KVPair{Key: k, Value: v})
	}
	f.pairs = pairs
	for _, ch := range f.watchers {
		select {
		case ch <- pairs:
		default: // full; a real client would have to think here
		}
	}
}

func (f *floor) GetServices() []*client.KVPair {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pairs
}

func (f *floor) WatchService() chan []*client.KVPair {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan []*client.KVPair, 10)
	f.watchers = append(f.watchers, ch)
	return ch
}

func (f *floor) Close() {
	f.mu.Lock()
	f.closed = true
	f.wake.Signal()
	f.mu.Unlock()
	f.conn.Close()
}

func (f *floor) RemoveWatcher(chan []*client.KVPair)     {}
func (f *floor) SetFilter(client.ServiceDiscoveryFilter) {}

func (f *floor) Clone(string) (client.ServiceDiscovery, error) {
	return nil, errors.New("the floor serves one service")
}
