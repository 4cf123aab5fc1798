package session

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/tests/seeds"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// A path is let go and taken up again: whose watch is it that is left, or taken away?

// The removal went behind the new request, and took its watch away.
func TestPathThatIsTakenUpAgainAtOnceIsWatched(t *testing.T) {
	for _, ext := range []Extension{{}, {true, true}} {
		for _, delay := range []time.Duration{0, 10 * time.Millisecond} {
			for _, asking := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v, answers after %v, still asking %v", ext, delay, asking), func(t *testing.T) {
					bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
						fill(t, zk, 3)
						cfg.Extension = ext
						s := connected(t, cfg)
						zk.Delay(delay)
						for range 20 {
							sub := s.Subscribe("/app")
							asked := make(chan struct{})
							go func() {
								_, _ = s.List(t.Context(), "/app")
								close(asked)
							}()
							if synctest.Wait(); !asking {
								<-asked
							}
							sub.Close()
							sub = s.Subscribe("/app")
							_, err := s.List(t.Context(), "/app")
							must(t, err)
							settle(time.Second)
							sub.Take()
							must(t, zk.Create("/app/new", nil))
							settle(time.Second)
							if h := sub.Take(); !h.Any() {
								t.Error("not told")
							}
							must(t, zk.Delete("/app/new"))
							sub.Close()
							settle(time.Second)
							sameWatches(t, s, zk, 0)
						}
					})
				})
			}
		}
	}
}

func TestNoWatchIsLeftOnAPathThatIsLetGo(t *testing.T) {
	// busy has answers to so many reads come after 100 ms that nothing else is sent.
	busy := func(t *testing.T, zk *zktest.Server, s *Session) {
		names := fill(t, zk, 3000)
		zk.Delay(100 * time.Millisecond)
		go func() { _, _ = s.Read(t.Context(), "/app", names, false) }()
		for range 2 * maxFlying {
			go func() { _, _ = s.Stat(t.Context(), "/app") }()
		}
		synctest.Wait()
	}
	list := func(ctx context.Context, s *Session, path string) { _, _ = s.List(ctx, path) }
	for what, letGo := range map[string]func(t *testing.T, zk *zktest.Server, s *Session){
		"before the link serves": func(t *testing.T, zk *zktest.Server, s *Session) {
			sub := s.Subscribe("/app")
			zk.Delay(10 * time.Millisecond)
			zk.DropConnections()
			settle(0)
			for zk.Stats().Connections == 0 {
				time.Sleep(time.Millisecond)
			}
			settle(15 * time.Millisecond)
			sub.Close()
		},
		"while its list waits for room": func(t *testing.T, zk *zktest.Server, s *Session) {
			busy(t, zk, s)
			sub := s.Subscribe("/other")
			go list(t.Context(), s, "/other")
			synctest.Wait()
			sub.Close()
		},
		"twice, while there is no room": func(t *testing.T, zk *zktest.Server, s *Session) {
			sub := s.Subscribe("/other")
			list(t.Context(), s, "/other")
			busy(t, zk, s)
			sub.Close()
			sub = s.Subscribe("/other")
			ctx, cancel := context.WithCancel(t.Context())
			go list(ctx, s, "/other")
			settle(time.Microsecond)
			cancel()
			synctest.Wait()
			sub.Close()
		},
		"twice, and it is missing": func(t *testing.T, zk *zktest.Server, s *Session) {
			sub := s.Subscribe("/missing")
			list(t.Context(), s, "/missing")
			zk.Delay(10 * time.Millisecond)
			sub.Close()
			sub = s.Subscribe("/missing")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer cancel()
			list(ctx, s, "/missing")
			sub.Close()
		},
	} {
		for _, ext := range []Extension{{}, {true, true}} {
			t.Run(fmt.Sprintf("%s, %v", what, ext), func(t *testing.T) {
				bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
					must(t, zk.Create("/other", nil))
					cfg.Extension = ext
					s := connected(t, cfg)
					before := s.Subscribe("/other") // so that it is known that the server removes watches
					list(t.Context(), s, "/other")
					before.Close()
					settle(time.Second)
					letGo(t, zk, s)
					settle(time.Minute)
					sameWatches(t, s, zk, 0)
				})
			})
		}
	}
}

// A path that had no watch took its only sibling's out of the books.
func TestALetGoPathLeavesItsSiblingsWatch(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		must(t, zk.Put("/rpcx/a", nil))
		must(t, zk.Put("/rpcx/b", nil))
		cfg.Extension = Extension{true, true}
		s := connected(t, cfg)
		a, b := s.Subscribe("/rpcx/a"), s.Subscribe("/rpcx/b")
		_, err := s.ListWith(t.Context(), "/rpcx/a", ListOptions{For: a, Names: true}) // which leaves a one-shot watch as well
		must(t, err)
		_, err = s.List(t.Context(), "/rpcx/b")
		must(t, err)
		b.Close()
		settle(time.Second)
		sameWatches(t, s, zk, 2)
		a.Close()
		settle(time.Second)
		sameWatches(t, s, zk, 0)
	})
}

var visits = flag.Int("visits", 20, "histories of subscriptions that come and go")

// Subscriptions come, go and come again while connections are cut at every frame, servers of other versions take over and answers are late. In each calm
// whoever is there is told of everything, and when nobody is, no watch is.
func TestWhoComesAndGoesIsToldOfEverything(t *testing.T) {
	for _, seed := range seeds.Of(t.Name(), *visits) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				newVisitors(t, zk, cfg, seed).play()
			})
		})
	}
}

// visitors are those who come and go.
type visitors struct {
	*testing.T
	zk      *zktest.Server
	r       *rand.Rand
	s       *Session
	subs    []*visitor
	calm    atomic.Bool    // no connection is cut
	version zktest.Version // of the server that was dialled last
	changes int
}

type visitor struct {
	path  string
	sub   *Subscription
	ctx   context.Context
	leave context.CancelFunc
}

// visited are the paths: one is below another, and one comes and goes.
var visited = []string{"/app", "/two", "/two/c0", "/gone"}

func newVisitors(t *testing.T, zk *zktest.Server, cfg Config, seed uint64) *visitors {
	v := &visitors{T: t, zk: zk, r: rand.New(rand.NewPCG(seed, 1))}
	must(t, zk.Create("/two", nil))
	for i := range 3 {
		must(t, zk.Create(fmt.Sprintf("/app/c%d", i), nil))
		must(t, zk.Create(fmt.Sprintf("/two/c%d", i), nil))
	}
	cfg.Extension = []Extension{{}, {true, true}, {false, true}}[v.r.IntN(3)]
	if v.r.IntN(3) == 0 {
		cfg.Auth = []Auth{{Scheme: "digest", Credentials: []byte("a:b")}}
	}
	mixes := [][]zktest.Version{
		{zktest.Version34},
		{zktest.Version35},
		{zktest.Version38},
		{zktest.Version39},
		{zktest.Version34, zktest.Version35, zktest.Version38, zktest.Version39},
	}
	mix := mixes[v.r.IntN(len(mixes))]
	cfg.Servers = []string{"a:2181", "b:2181", "c:2181", "d:2181"}[:len(mix)]
	cuts := rand.New(rand.NewPCG(seed, 2)) // the dialler's own
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		v.version = mix[addr[0]-'a']
		zk.SetVersion(v.version)
		c, err := zk.Dial(ctx, network, addr)
		if err != nil || cuts.IntN(2) == 0 {
			return c, err
		}
		return &cutBehind{Conn: c, frames: cuts.IntN(30), never: &v.calm}, nil
	}
	v.calm.Store(true)
	v.s = Open(cfg)
	t.Cleanup(v.s.Close)
	return v
}

// cutBehind is a connection that ends after so many frames have come.
type cutBehind struct {
	net.Conn
	frames int
	never  *atomic.Bool
	head   []byte // of a frame
	left   int    // bytes of it
}

func (c *cutBehind) Read(p []byte) (int, error) {
	if len(c.head) == 0 && c.left == 0 {
		if c.frames == 0 && !c.never.Load() {
			_ = c.Close()
			return 0, io.EOF
		}
		c.frames = max(c.frames-1, 0)
		c.head = make([]byte, 4)
		if _, err := io.ReadFull(c.Conn, c.head); err != nil {
			return 0, err
		}
		c.left = int(i32(c.head))
	}
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func (v *visitors) play() {
	for round := range 15 {
		v.calm.Store(v.r.IntN(2) == 0)
		v.zk.Delay(time.Duration(v.r.IntN(3)) * v.upTo(1<<26) / 2) // one time in three at once
		for range 10 + v.r.IntN(40) {
			v.step()
			if v.r.IntN(2) == 0 {
				time.Sleep(v.upTo(1 << (8 + v.r.IntN(20))))
			}
		}
		v.calm.Store(true)
		time.Sleep(v.upTo(30 * time.Second))
		settle(2 * time.Minute)
		v.zk.Delay(0)
		for _, who := range v.subs {
			v.told(round, who)
		}
		settle(time.Second)
		if ours, theirs := v.s.Outstanding(), v.zk.Stats().Watches; theirs < ours {
			v.Errorf("round %d, %v: %d watches in the session, %d on the server", round, v.version, ours, theirs)
		}
		if v.r.IntN(3) == 0 {
			for len(v.subs) > 0 {
				v.goes(0)
			}
			settle(time.Minute)
			if n := v.zk.Stats().Watches; n > 0 && v.version != zktest.Version34 { // which cannot remove any
				v.Errorf("round %d, %v: nobody is there, and %d watches are, %d in the session", round, v.version, n, v.s.Outstanding())
			}
		}
		if v.Failed() {
			break
		}
	}
	for len(v.subs) > 0 {
		v.goes(0)
	}
}

func (v *visitors) upTo(d time.Duration) time.Duration { return time.Duration(v.r.Int64N(int64(d))) }

func (v *visitors) step() {
	somebody := -1
	if len(v.subs) > 0 {
		somebody = v.r.IntN(len(v.subs))
	}
	switch n := v.r.IntN(12); {
	case n < 2 && len(v.subs) < 6:
		v.comes(visited[v.r.IntN(len(visited))])
	case n < 2, somebody < 0 && n < 7:
	case n < 4:
		path := v.subs[somebody].path
		v.goes(somebody)
		if v.r.IntN(2) == 0 {
			v.asks(v.comes(path))
		}
	case n < 7:
		v.asks(v.subs[somebody])
	case n < 10:
		v.change()
	case n == 10 && v.r.IntN(2) == 0:
		v.zk.DropConnections()
	case n == 11 && v.r.IntN(8) == 0:
		v.zk.ExpireAll()
	}
}

func (v *visitors) comes(path string) *visitor {
	who := &visitor{path: path, sub: v.s.Subscribe(path)}
	who.ctx, who.leave = context.WithCancel(v.Context())
	v.subs = append(v.subs, who)
	return who
}

func (v *visitors) goes(i int) {
	who := v.subs[i]
	v.subs = slices.Delete(v.subs, i, i+1)
	who.leave()
	if v.r.IntN(2) == 0 {
		synctest.Wait()
	}
	who.sub.Close()
}

// asks has who read all that is below its path, meanwhile.
func (v *visitors) asks(who *visitor) { go func() { _, _ = v.lists(who) }() }

// lists reads all that is below a path, as a mirror does. It returns the names.
func (v *visitors) lists(who *visitor) ([]string, error) {
	l, err := v.s.ListWith(who.ctx, who.path, ListOptions{For: who.sub})
	if err != nil {
		return nil, err
	}
	nodes, err := v.s.Read(who.ctx, who.path, l.Names, true)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, n := range nodes {
		if n.Err == nil {
			names = append(names, n.Name)
		}
	}
	return names, nil
}

func (v *visitors) change() {
	v.changes++
	path := visited[v.r.IntN(len(visited))]
	child := fmt.Sprintf("%s/c%d", path, v.r.IntN(4))
	switch v.r.IntN(4) { // where it cannot be done, it is not
	case 0:
		_ = v.zk.Delete(child)
	case 1:
		_ = v.zk.Create("/gone", nil)
	case 2:
		_ = v.zk.Delete("/gone")
	default:
		if v.zk.Set(child, fmt.Append(nil, v.changes)) != nil {
			_ = v.zk.Create(child, nil)
		}
	}
}

// told: who has asked is told of each change.
func (v *visitors) told(round int, who *visitor) {
	names, err := v.lists(who)
	settle(time.Second)
	who.sub.Take()
	bad := func(what string) {
		v.Errorf("round %d, %v: %s of %s is not told %s", round, v.version, v.s.State().Extension, who.path, what)
	}
	if errors.Is(err, ErrNoNode) {
		must(v, v.zk.Create(who.path, nil))
		if settle(time.Second); !who.sub.Take().List {
			bad("that it was made")
		}
		return
	}
	must(v, err)
	for _, name := range names {
		must(v, v.zk.Set(who.path+"/"+name, []byte("x")))
	}
	settle(time.Second)
	h := who.sub.Take()
	for _, name := range names {
		if h.Children[name] == 0 {
			bad("of a change of " + name)
		}
	}
	must(v, v.zk.Create(who.path+"/new", nil))
	if settle(time.Second); !who.sub.Take().Any() {
		bad("of a new one")
	}
	must(v, v.zk.Delete(who.path+"/new"))
}
