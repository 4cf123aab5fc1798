package contender

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"
)

// bareFloor speaks ZooKeeper's frames itself: one persistent recursive watch, the list and its stat in one batched read, the instances in a few more;
// then an event and at most one read per change. A removal takes no request. It does nothing about anything that goes wrong, so nobody should use
// it; it shows what no client can be better than with the fewest frames that do the job.
type bareFloor struct {
	conn *frames
	path string

	mu       sync.Mutex
	pairs    []*client.KVPair // by key; what was given away does not change
	watchers []chan []*client.KVPair
	done     chan struct{} // closed by Close
	closing  sync.Once
}

// bareBatch is how many instances are read in one request.
const bareBatch = 500

func openBareFloor(c Config) (client.ServiceDiscovery, error) {
	conn, err := net.DialTimeout("tcp", c.Servers[0], c.SessionTimeout) //nolint:noctx // Open has no context either
	if err != nil {
		return nil, err
	}
	f := &bareFloor{conn: newFrames(conn), path: "/" + c.Base + "/" + c.Service, done: make(chan struct{})}
	if err := f.begin(c.SessionTimeout); err != nil {
		conn.Close()
		return nil, err
	}
	go f.run()
	go f.ping(c.SessionTimeout / 3)
	return f, nil
}

// begin has the watch before it reads, so that nothing is missed, and sends everything that need not wait for an answer at once.
func (f *bareFloor) begin(timeout time.Duration) error {
	f.conn.connect(timeout)
	f.conn.addWatch(f.path)
	f.conn.multiRead(multiChildren, f.path)
	if err := f.conn.flush(); err != nil {
		return err
	}
	if _, err := f.conn.next(); err != nil { // the session's
		return err
	}
	if _, err := f.answer(); err != nil {
		return fmt.Errorf("addWatch, which servers before 3.6 do not have: %w", err)
	}
	body, err := f.answer()
	if err != nil {
		return err
	}
	names, err := decodeNames(body)
	if err != nil {
		return err
	}
	slices.Sort(names)
	f.pairs = make([]*client.KVPair, 0, len(names))
	for batch := range slices.Chunk(names, bareBatch) {
		paths := make([]string, len(batch))
		for i, name := range batch {
			paths[i] = f.path + "/" + name
		}
		f.conn.multiRead(multiData, paths...)
	}
	if err := f.conn.flush(); err != nil {
		return err
	}
	for batch := range slices.Chunk(names, bareBatch) {
		if body, err = f.answer(); err != nil {
			return err
		}
		values, err := decodeValues(body, len(batch))
		if err != nil {
			return err
		}
		for i, name := range batch {
			f.pairs = append(f.pairs, &client.KVPair{Key: name, Value: values[i]})
		}
	}
	return nil
}

// answer is the next reply's body; there are no events yet, but for one that the harness has not caused.
func (f *bareFloor) answer() ([]byte, error) {
	for {
		r, err := f.conn.next()
		if err != nil {
			return nil, err
		}
		if r.xid > 0 {
			return r.body, r.refusal()
		}
	}
}

// run follows the events until the connection ends. reading are the names whose data was asked for, in the order of the answers.
func (f *bareFloor) run() {
	var reading []string
	for {
		r, err := f.conn.next()
		if err != nil {
			return
		}
		switch {
		case r.xid == xidEvent:
			kind, path, err := decodeEvent(r.body)
			name, below := strings.CutPrefix(path, f.path+"/")
			if err != nil || !below {
				continue
			}
			if kind == eventDeleted {
				f.set(name, nil)
				continue
			}
			reading = append(reading, name)
			f.conn.getData(path)
			if f.conn.flush() != nil {
				return
			}
		case r.xid > 0 && len(reading) > 0:
			name := reading[0]
			reading = reading[1:]
			if r.refusal() == nil { // or it has gone meanwhile, which another event says
				if value, err := decodeValue(r.body); err == nil {
					f.set(name, &client.KVPair{Key: name, Value: value})
				}
			}
		}
	}
}

// set puts an instance into a copy of the list, or takes it out, and hands the list out.
func (f *bareFloor) set(name string, pair *client.KVPair) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, there := slices.BinarySearchFunc(f.pairs, name, func(p *client.KVPair, name string) int { return strings.Compare(p.Key, name) })
	list := make([]*client.KVPair, 0, len(f.pairs)+1)
	list = append(list, f.pairs[:at]...)
	if pair != nil {
		list = append(list, pair)
	}
	if there {
		at++
	}
	f.pairs = append(list, f.pairs[at:]...)
	for _, ch := range f.watchers {
		select {
		case ch <- f.pairs:
		default: // full; a real client would have to think here
		}
	}
}

func (f *bareFloor) ping(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.conn.ping()
			if f.conn.flush() != nil {
				return
			}
		case <-f.done:
			return
		}
	}
}

func (f *bareFloor) GetServices() []*client.KVPair {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pairs
}

func (f *bareFloor) WatchService() chan []*client.KVPair {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan []*client.KVPair, 10)
	f.watchers = append(f.watchers, ch)
	return ch
}

func (f *bareFloor) Close() {
	f.closing.Do(func() {
		close(f.done)
		f.conn.close()
	})
}

func (f *bareFloor) RemoveWatcher(chan []*client.KVPair)     {}
func (f *bareFloor) SetFilter(client.ServiceDiscoveryFilter) {}

func (f *bareFloor) Clone(string) (client.ServiceDiscovery, error) {
	return nil, errors.New("the floor serves one service")
}
