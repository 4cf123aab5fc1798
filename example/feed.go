package main

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// feed is what a program hears of the list: it reads a watcher channel as XClient does, and notes when each list arrived.
type feed struct {
	heard func(view) // called with everything that is heard, in order, until close

	lists chan []*client.KVPair // the library sends; closed by close, after RemoveWatcher
	reads sync.WaitGroup        // the goroutine that reads lists

	mu    sync.Mutex    // guards what follows
	deaf  bool          // after close
	views []view        // all there were, the present one last
	more  chan struct{} // closed, and replaced, whenever there is one more
}

// view is what is known of the servers from a time on. Nothing in it changes.
type view struct {
	at        time.Time
	connected bool              // to ZooKeeper
	servers   map[string]string // metadata by key
	lists     int               // how many have arrived so far
}

func newFeed(heard func(view)) *feed {
	return &feed{heard: heard, views: []view{{at: time.Now()}}, more: make(chan struct{})}
}

// observer is for the Discovery that is to be followed.
func (f *feed) observer() zkdiscovery.Observer {
	return zkdiscovery.Observer{
		Connection: func(c zkdiscovery.ConnectionChange) {
			f.note(func(v *view) { v.connected = c.Connected })
		},
		Saved: func(zkdiscovery.Saved) { f.note(func(*view) {}) }, // for who waits for the file
	}
}

// follow begins to listen to d.
func (f *feed) follow(d *zkdiscovery.Discovery) {
	f.lists = d.WatchService()
	f.reads.Go(func() {
		for pairs := range f.lists {
			servers := make(map[string]string, len(pairs))
			for _, p := range pairs {
				servers[p.Key] = p.Value
			}
			f.note(func(v *view) { v.servers, v.lists = servers, v.lists+1 })
		}
	})
}

// close ends what follow began.
func (f *feed) close(d *zkdiscovery.Discovery) {
	d.RemoveWatcher(f.lists)
	close(f.lists) // nothing is sent any more, so it is ours to close
	f.reads.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaf = true // the end of d's connection is no news
}

func (f *feed) note(edit func(*view)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deaf {
		return
	}
	v := f.views[len(f.views)-1]
	v.at = time.Now()
	edit(&v)
	f.views = append(f.views, v)
	f.heard(v)
	close(f.more)
	f.more = make(chan struct{})
}

// current is the present view.
func (f *feed) current() view {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.views[len(f.views)-1]
}

// await returns the first view that is as wanted of those that there are since a time: the one that there was then, and all later ones. It
// returns ctx's error when that ends before there is one.
func (f *feed) await(ctx context.Context, since time.Time, wanted func(view) bool) (view, error) {
	for next := 0; ; {
		f.mu.Lock()
		views, more := f.views, f.more
		f.mu.Unlock()
		for ; next < len(views); next++ {
			outdated := next+1 < len(views) && !views[next+1].at.After(since)
			if !outdated && wanted(views[next]) {
				return views[next], nil
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return view{}, ctx.Err()
		}
	}
}

// lists reports whether a view has exactly these servers, with this metadata.
func lists(servers map[string]string) func(view) bool {
	return func(v view) bool { return maps.Equal(v.servers, servers) }
}
