package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/internal/impatient"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// sessionTimeout is what the drill asks for; a server may insist on more.
const sessionTimeout = 2 * time.Second

// zookeeper is the one that the drill is held on.
type zookeeper interface {
	servers() []string // for clients
	base() string      // the path that everything of the drill is below
	stop() error       // refuses from now on, and every connection is cut
	stopping() string  // what stop does, in words
	start() error      // serves again
	close() error      // leaves nothing behind
	// expire returns when every session that there was before stop is over. It is called when they have timed out.
	expire(ctx context.Context) error
	where(words) string // it is, to people
}

// openZooKeeper opens the real one at servers, or one in this process when there are none.
func openZooKeeper(ctx context.Context, servers []string) (zookeeper, error) {
	if len(servers) > 0 {
		z, err := openProxied(ctx, servers)
		if err != nil {
			return nil, err
		}
		return z, nil
	}
	s := zktest.NewServer(zktest.WithTick(sessionTimeout / 4))
	if err := s.Listen("127.0.0.1:0"); err != nil {
		s.Close()
		return nil, err
	}
	return inProcess{s}, nil
}

// inProcess is a ZooKeeper of this process, which can be stopped.
type inProcess struct{ *zktest.Server }

func (z inProcess) servers() []string    { return []string{z.Addr()} }
func (z inProcess) base() string         { return "/rpcx" }
func (z inProcess) stop() error          { z.Stop(); return nil }
func (z inProcess) stopping() string     { return "is stopped" }
func (z inProcess) start() error         { return z.Start() }
func (z inProcess) close() error         { z.Close(); return nil }
func (z inProcess) where(w words) string { return w.text("a ZooKeeper in this process") }

// expire does what a server that has started again would do a timeout later.
func (z inProcess) expire(context.Context) error {
	z.ExpireAll()
	return nil
}

// proxied is a real ZooKeeper. The drill cannot stop it, but it can stop being able to reach it: its clients go through proxies, which cut
// them off for longer than their sessions last.
type proxied struct {
	addrs     []string
	proxies   []*zktest.Proxy
	chroot    string
	path      string          // below the chroot
	direct    *zk.Conn        // past the proxies, to see what is left of the drill, and to tidy up
	events    <-chan zk.Event // direct's; closed by go-zookeeper when that has ended
	connected bool            // direct has been
}

func openProxied(ctx context.Context, servers []string) (_ *proxied, err error) {
	// A path of its own, so that nothing in ZooKeeper is in the way, nor the drill in that of others.
	z := &proxied{path: "/holdfast-drill-" + rand.Text()[:8]}
	defer func() {
		if err != nil {
			_ = z.close() // err says it
		}
	}()
	for _, server := range servers {
		addr, chroot, _ := strings.Cut(server, "/")
		z.addrs = append(z.addrs, addr)
		if chroot != "" {
			z.chroot = "/" + chroot
		}
		p, err := zktest.NewProxy(addr)
		if err != nil {
			return nil, err
		}
		z.proxies = append(z.proxies, p)
	}
	z.direct, z.events, err = zk.Connect(z.addrs, sessionTimeout, zk.WithLogger(quiet{}), zk.WithLogInfo(false), zk.WithDialer(impatient.Dial))
	if err != nil {
		return nil, err
	}
	limit := time.NewTimer(5 * time.Second)
	defer limit.Stop()
	for {
		select {
		case ev := <-z.events:
			if ev.State == zk.StateHasSession {
				z.connected = true
				return z, nil
			}
		case <-limit.C:
			return nil, fmt.Errorf("no ZooKeeper answers at %s", strings.Join(z.addrs, ","))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (z *proxied) servers() []string {
	var addrs []string
	for _, p := range z.proxies {
		addrs = append(addrs, p.Addr())
	}
	addrs[len(addrs)-1] += z.chroot
	return addrs
}

func (z *proxied) base() string     { return z.path }
func (z *proxied) stopping() string { return "is cut off by a proxy, which refuses new connections" }

func (z *proxied) where(w words) string {
	return w.text("the ZooKeeper at %s", strings.Join(z.addrs, ","))
}

func (z *proxied) stop() error {
	for _, p := range z.proxies {
		if err := p.Refuse(true); err != nil {
			return err
		}
		p.Drop()
	}
	return nil
}

// expire waits until the servers' nodes are gone.
func (z *proxied) expire(ctx context.Context) error {
	for {
		var nodes []string
		var changed <-chan zk.Event
		err := z.ask(ctx, func() (err error) {
			nodes, _, changed, err = z.direct.ChildrenW(z.service())
			return err
		})
		if err != nil || len(nodes) == 0 {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ask asks until there is an answer: a connection that breaks, the drill's own or between the servers, is no reason to give up.
func (z *proxied) ask(ctx context.Context, question func() error) error {
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for {
		err := question()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, zk.ErrConnectionClosed) && !errors.Is(err, zk.ErrNoServer) && !errors.Is(err, zk.ErrSessionExpired):
			return fmt.Errorf("%v: %w", z, err)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return fmt.Errorf("%v: %w", z, err)
		}
	}
}

func (z *proxied) start() error {
	for _, p := range z.proxies {
		if err := p.Refuse(false); err != nil {
			return err
		}
	}
	return nil
}

// close removes what the drill has left in ZooKeeper: empty nodes, and those of servers which could not say goodbye because the drill was
// interrupted while they were cut off.
func (z *proxied) close() error {
	var err error
	if z.connected {
		limit, cancel := context.WithTimeout(context.Background(), awaitLimit)
		defer cancel()
		if err = z.ask(limit, z.tidy); err != nil {
			err = fmt.Errorf("%s is left there: %w", z.path, err)
		}
	}
	if z.direct != nil {
		z.direct.Close()
		for range z.events { // closed by go-zookeeper when its last goroutine has ended, which is what is waited for
		}
	}
	for _, p := range z.proxies {
		p.Close()
	}
	return err
}

func (z *proxied) tidy() error {
	nodes, _, err := z.direct.Children(z.service())
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		return err
	}
	doomed := []string{z.service(), z.chroot + z.path}
	for _, node := range nodes {
		doomed = append([]string{z.service() + "/" + node}, doomed...)
	}
	for _, path := range doomed {
		if err := z.direct.Delete(path, -1); err != nil && !errors.Is(err, zk.ErrNoNode) {
			return err
		}
	}
	return nil
}

// service is the path of the servers' nodes, as direct sees it.
func (z *proxied) service() string { return z.chroot + z.path + "/" + servicePath }

// quiet is a logger for go-zookeeper, which would write to standard error.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
