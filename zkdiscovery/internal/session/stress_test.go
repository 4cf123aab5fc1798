package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/tests/seeds"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Whoever does nothing but follow the hints, and begins anew with a new session, ends with what ZooKeeper has: whatever happened, in whatever
// order. HOLDFAST_SEED repeats a run as far as the goroutines let it.
func TestFollowingTheHintsEndsWithWhatZooKeeperHas(t *testing.T) {
	for _, seed := range seeds.Of(t.Name(), 6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				cfg.Logger = nil
				stress(t, zk, cfg, rand.New(rand.NewPCG(seed, 0)))
			})
		})
	}
}

func stress(t *testing.T, zk *zktest.Server, cfg Config, rnd *rand.Rand) {
	s := connected(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	replicas := make([]*replica, 4)
	for i := range replicas {
		replicas[i] = &replica{s: s, found: make(map[string]string)}
		wg.Go(func() { replicas[i].follow(ctx) })
	}
	comers := make(chan struct{})
	for i := range 3 { // they share the server, and the session with the others, and never stay
		r := rand.New(rand.NewPCG(rnd.Uint64(), uint64(i)))
		wg.Go(func() { comeAndGo(ctx, comers, s, cfg, r) })
	}

	for range 400 {
		disturb(zk, rnd)
		change(zk, rnd)
		if rnd.IntN(3) > 0 {
			time.Sleep(rand.N(time.Duration(1) << (10 + rnd.IntN(24)))) // a microsecond to 16 s
		}
	}
	zk.Silence(false)
	zk.Delay(0)
	zk.Refuse(false)
	for _, op := range []zktest.Op{zktest.OpGetData, zktest.OpGetChildren2, zktest.OpConnect} {
		zk.CutAfter(op, 0)
	}
	must(t, zk.Start())
	close(comers)
	settle(2 * time.Minute)

	want := make(map[string]string)
	for path, n := range zk.Tree() {
		if name, ok := strings.CutPrefix(path, "/app/"); ok {
			want[name] = string(n.Data)
		}
	}
	for i, r := range replicas {
		r.mu.Lock()
		if diff := cmp.Diff(want, r.found); diff != "" {
			t.Errorf("replica %d (-zookeeper +replica):\n%s\n%+v", i, diff, s.State())
		}
		r.mu.Unlock()
	}
	if ours, theirs := s.Outstanding(), zk.Stats().Watches; ours > theirs || ours < len(want)+1 {
		t.Errorf("%d watches in the session and %d on the server, for %d nodes", ours, theirs, len(want)+1)
	}
	cancel()
	wg.Wait()
	closing(t, s)
	if n := zk.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions live on", n)
	}
}

func disturb(zk *zktest.Server, rnd *rand.Rand) {
	switch rnd.IntN(24) {
	case 0, 1, 2:
		zk.DropConnections()
	case 3:
		zk.ExpireAll()
	case 4:
		zk.Stop()
	case 5, 6, 7, 8:
		_ = zk.Start()
	case 9:
		zk.Silence(true)
	case 10, 11, 12:
		zk.Silence(false)
	case 13:
		zk.Refuse(true)
	case 14, 15, 16:
		zk.Refuse(false)
	case 17:
		zk.Delay(time.Duration(rnd.IntN(100)) * time.Millisecond)
	case 18:
		zk.CutAfter(zktest.OpGetData, 1)
	case 19:
		zk.CutAfter(zktest.OpGetChildren2, 1)
	case 20:
		zk.CutAfter(zktest.OpConnect, 1)
	case 21:
		if rnd.IntN(4) == 0 {
			zk.Wipe()
		}
	default:
	}
}

// change changes something below /app; whether it can does not matter.
func change(zk *zktest.Server, rnd *rand.Rand) {
	path := fmt.Sprintf("/app/n%02d", rnd.IntN(40))
	switch rnd.IntN(8) {
	case 0, 1, 2:
		_ = zk.Put(path, fmt.Append(nil, rnd.IntN(1000)))
	case 3, 4:
		_ = zk.Set(path, fmt.Append(nil, rnd.IntN(1000)))
	case 5:
		_ = zk.Delete(path)
	case 6: // a takeover
		_ = zk.Delete(path)
		_ = zk.Put(path, []byte("taken over"))
	case 7:
		if rnd.IntN(10) == 0 {
			names, _ := zk.Children("/app")
			for _, n := range names {
				_ = zk.Delete("/app/" + n)
			}
			_ = zk.Delete("/app")
		}
	}
}

// comeAndGo uses s, and sessions of its own, until done.
func comeAndGo(ctx context.Context, done <-chan struct{}, s *Session, cfg Config, rnd *rand.Rand) {
	for {
		select {
		case <-done:
			return
		default:
		}
		switch rnd.IntN(4) {
		case 0:
			own := Open(cfg)
			_, changed := own.Changed()
			select {
			case <-changed:
			case <-time.After(time.Duration(rnd.IntN(3000)) * time.Millisecond):
			}
			_, _ = own.List(ctx, "/app")
			own.Close()
		case 1:
			sub := s.Subscribe("/app")
			_, _ = s.List(ctx, "/app")
			sub.Take()
			sub.Close()
		case 2:
			limited, cancel := context.WithTimeout(ctx, time.Duration(rnd.IntN(50))*time.Millisecond)
			if ls, err := s.List(limited, "/app"); err == nil {
				_, _ = s.Read(limited, "/app", ls.Names, rnd.IntN(2) == 0)
			}
			cancel()
		case 3:
			s.Rearm("/app")
		}
		time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
	}
}

// replica is what somebody knows who reads what the hints say, and nothing else.
type replica struct {
	s *Session

	mu    sync.Mutex
	found map[string]string
}

func (r *replica) follow(ctx context.Context) {
	sub := r.s.Subscribe("/app")
	defer sub.Close()
	list, dirty, session := false, make(map[string]bool), int64(0)
	for {
		if !list && len(dirty) == 0 || !r.s.State().Connected {
			select {
			case <-sub.C:
			case <-ctx.Done():
				return
			}
		}
		st := r.s.State()
		h := sub.Take()
		for name := range h.Children {
			dirty[name] = true
		}
		r.mu.Lock()
		if list = list || h.List; st.Session != session {
			session, list = st.Session, true
			for name := range r.found {
				dirty[name] = true
			}
		}
		r.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if !st.Connected {
			continue
		}
		if list {
			ls, err := r.s.List(ctx, "/app")
			if err != nil && !errors.Is(err, ErrNoNode) {
				continue // lost: the next state pokes
			}
			list = false
			r.keepOnly(ls.Names, dirty)
		}
		r.read(ctx, dirty, &list)
	}
}

// keepOnly drops what is not listed, and marks what is new.
func (r *replica) keepOnly(names []string, dirty map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	listed := make(map[string]bool)
	for _, name := range names {
		listed[name] = true
		if _, known := r.found[name]; !known {
			dirty[name] = true
		}
	}
	maps.DeleteFunc(r.found, func(name, _ string) bool { return !listed[name] })
	maps.DeleteFunc(dirty, func(name string, _ bool) bool { return !listed[name] })
}

func (r *replica) read(ctx context.Context, dirty map[string]bool, list *bool) {
	var names []string
	for name := range dirty {
		names = append(names, name)
	}
	nodes, err := r.s.Read(ctx, "/app", names, true)
	if err != nil {
		return
	}
	clear(dirty)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range nodes {
		if n.Err == nil {
			r.found[n.Name] = string(n.Data)
		} else {
			delete(r.found, n.Name)
			*list = true
		}
	}
}
