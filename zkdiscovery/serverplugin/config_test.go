package serverplugin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/rpcxio/libkv/store"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestMistakesAreNamedWithTheRule(t *testing.T) {
	for _, tc := range []struct {
		opts []ZooKeeperOpt
		want []string
	}{
		{nil, []string{`service address ""`, "network@address is needed", "servers: empty list", `base path ""`}},
		{[]ZooKeeperOpt{WithZKServiceAddress("127.0.0.1:8972")}, []string{`"127.0.0.1:8972"`, "is not network@address"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("tcp@")}, []string{"is not network@address"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("@1.2.3.4:5")}, []string{"is not network@address"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("tcp@a b:1")}, []string{"without spaces"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("tcp@host")}, []string{"has no port"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("tcp@host:")}, []string{`"tcp@host:"`, "has no port"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("tcp@::1:8972")}, []string{"brackets are needed"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("tcp@host:-1")}, []string{"has port -1", "1 to 65535 is needed"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("tcp@host:99999999999999999999")}, []string{"has port 99999999999999999999"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("quic@host:0")}, []string{"has port 0"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("quic@host:65536")}, []string{"has port 65536"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("a/b@host:1")}, []string{"has a slash in its network"}},
		{[]ZooKeeperOpt{WithZKServiceAddress("memu@\uf000")}, []string{"does not allow (U+F000)"}},
		{[]ZooKeeperOpt{WithZKBasePath("a//b")}, []string{`base path "a//b"`, "empty part"}},
		{[]ZooKeeperOpt{WithZKServersAddress([]string{"zk"})}, []string{`server "zk"`, "host:port"}},
		{[]ZooKeeperOpt{WithServer(nil)}, []string{"WithServer(nil)"}},
		{[]ZooKeeperOpt{WithZkACL(nil)}, []string{"WithZkACL"}},
		{[]ZooKeeperOpt{WithAuth("", nil)}, []string{`WithAuth("", …)`}},
		{[]ZooKeeperOpt{WithAuthFunc(nil)}, []string{"WithAuthFunc(nil)", "WithZkACL is needed"}},
		{[]ZooKeeperOpt{WithTLS(nil)}, []string{"WithTLS(nil)"}},
		{[]ZooKeeperOpt{WithDialer(nil)}, []string{"WithDialer(nil)"}},
		{[]ZooKeeperOpt{WithReady(nil)}, []string{"WithReady(nil)"}},
		{[]ZooKeeperOpt{WithReadyAlways(nil)}, []string{"WithReadyAlways(nil)"}},
		{[]ZooKeeperOpt{WithOperator("state", "calls")}, []string{"WithOperator", `"calls"`}},
		{[]ZooKeeperOpt{WithLogger(nil)}, []string{"WithLogger(nil)"}},
		{[]ZooKeeperOpt{WithSessionTimeout(time.Millisecond)}, []string{"WithSessionTimeout(1ms)", "100ms to 24h"}},
		{[]ZooKeeperOpt{WithDrainWait(-1)}, []string{"WithDrainWait(-1ns)", "negative"}},
	} {
		var opts []ZooKeeperOpt
		if tc.opts != nil {
			opts = append([]ZooKeeperOpt{WithZKServiceAddress(address), WithZKServersAddress([]string{"zk:2181"}), WithZKBasePath("rpcx"), nil}, tc.opts...)
		}
		p := NewZooKeeperRegisterPlugin(opts...)
		for _, err := range []error{p.Start(), p.Register("Arith", nil, ""), p.WaitRegistered(t.Context())} {
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q in it", err, want)
				}
			}
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		for name, rule := range map[string]string{
			"": "is empty", " ": "is empty", "/": "is empty", "a//b": "empty part", "..": "relative part", "a\x00": "U+0000",
		} {
			if err := p.Register(name, nil, ""); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("service path %q: ", name)) ||
				!strings.Contains(err.Error(), rule) {
				b.Errorf("Register(%q): %v, want its name and %q in it", name, err, rule)
			}
			if err := p.RegisterFunction(name, "f", nil, ""); err == nil {
				b.Errorf("RegisterFunction(%q)", name)
			}
		}
		if len(p.Services) != 0 || len(p.Status().Services) != 0 {
			b.Errorf("%q, %v", p.Services, p.Status())
		}
	})
}

func TestALiteralWithoutStartRegisters(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := &ZooKeeperRegisterPlugin{ServiceAddress: address, ZooKeeperServers: []string{"zk:2181"}, BasePath: "/rpcx"}
		WithDialer(b.zk.Dial)(p)
		b.Cleanup(func() { _ = p.Stop() })
		b.register(p, "Arith", "weight=1")
		pass(time.Second)
		b.mustOwn(p, "weight=1")
		if err := errors.Join(p.Start(), p.Start()); err != nil {
			b.Error(err)
		}
		pass(time.Second)
		b.mustOwn(p, "weight=1")
		if st := p.Status(); st.Sessions != 1 {
			b.Errorf("%d sessions", st.Sessions)
		}
	})
}

func TestAnAddressThatNamesNoHostIsTold(t *testing.T) {
	for address, want := range map[string]bool{
		"tcp@:8972": true, "tcp@0.0.0.0:8972": true, "quic@[::]:8972": true,
		"tcp@127.0.0.1:8972": false, "http@host:80": false, "unix@/run/a.sock": false,
	} {
		inBubble(t, func(b bubble) {
			var log strings.Builder
			p := b.plugin(WithZKServiceAddress(address), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			b.register(p, "Arith", "")
			must(b, p.WaitRegistered(b.Context())) // as with rpcx-zookeeper
			must(b, p.Stop())
			if told := strings.Contains(log.String(), "names no host"); told != want {
				b.Errorf("%s: told: %v, want %v", address, told, want)
			}
		})
	}
}

func TestAMissingChrootIsToldAndNotMade(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithZKServersAddress([]string{"zk:2181/prod"}))
		b.register(p, "Arith", "weight=3")
		pass(time.Minute)
		if err := p.Status().Services[0].Err; err == nil || !strings.Contains(err.Error(), `the chroot "/prod" does not exist`) {
			b.Error(err)
		}
		if _, err := b.zk.Get("/prod"); err == nil {
			b.Error("it was made")
		}
		must(b, b.zk.Create("/prod", nil))
		pass(recovery)
		if n, err := b.zk.Get("/prod" + nodePath); err != nil || string(n.Data) != "weight=3" || !p.Registered() {
			b.Error(n, err, p.Status())
		}
	})
}

func TestChrootIsPutBeforeEveryPath(t *testing.T) {
	inBubble(t, func(b bubble) {
		must(b, b.zk.Create("/prod", nil))
		p := b.plugin(WithZKServersAddress([]string{"zk:2181/prod"}))
		b.register(p, "Arith", "")
		pass(time.Second)
		if n, err := b.zk.Get("/prod" + nodePath); err != nil || n.Stat.EphemeralOwner == 0 {
			b.Error(n, err)
		}
	})
}

func TestSessionTimeoutIsAskedFor(t *testing.T) {
	for _, tc := range []struct {
		opts []ZooKeeperOpt
		want time.Duration
	}{
		{nil, 10 * time.Second},
		{[]ZooKeeperOpt{WithSessionTimeout(20 * time.Second)}, 20 * time.Second},
		{[]ZooKeeperOpt{WithZkOptions(&store.Config{ConnectionTimeout: 30 * time.Second})}, 30 * time.Second},
		{[]ZooKeeperOpt{WithZkOptions(&store.Config{ConnectionTimeout: 1000 * time.Hour})}, 40 * time.Second}, // more than it can say, and than it may
		{[]ZooKeeperOpt{WithZkOptions(&store.Config{ConnectionTimeout: 30 * time.Second}), WithSessionTimeout(20 * time.Second)}, 20 * time.Second},
	} {
		inBubble(t, func(b bubble) {
			p := b.plugin(tc.opts...)
			pass(time.Second)
			if got := p.Status().SessionTimeout; got != tc.want {
				b.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// A server outlives its password: the next connection has the next one, and the node is still its own to change.
func TestCredentialsThatRotateKeepTheRegistration(t *testing.T) {
	inBubble(t, func(b bubble) {
		var asked atomic.Int64
		acl := []ACL{
			zk.DigestACL(zk.PermAll, "user", "secret1")[0], zk.DigestACL(zk.PermAll, "user", "secret2")[0], {Perms: zk.PermRead, Scheme: "world", ID: "anyone"},
		}
		p := b.plugin(WithZkACL(acl), WithAuthFunc(func() (string, []byte, error) {
			return "digest", fmt.Appendf(nil, "user:secret%d", asked.Add(1)), nil
		}))
		b.register(p, "Arith", "weight=1")
		pass(time.Second)
		b.zk.DropConnections()
		pass(10 * time.Second)
		if err := p.SetMetadata("Arith", "weight=2"); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		n, err := b.zk.Get(nodePath)
		if err != nil || string(n.Data) != "weight=2" || asked.Load() != 2 || !p.Registered() {
			t.Errorf("%q, %v, asked %d times: %v", n.Data, err, asked.Load(), p.Status())
		}
	})
}

func TestNodesHaveTheACLTheyShould(t *testing.T) {
	creator := zktest.ACL{Perms: 31, Scheme: "digest", ID: zk.DigestACL(zk.PermAll, "user", "secret")[0].ID}
	for _, tc := range []struct {
		rule string
		opts []ZooKeeperOpt
		want zktest.ACL
	}{
		{"anybody, as with rpcx-zookeeper", nil, zktest.ACL{Perms: 31, Scheme: "world", ID: "anyone"}},
		{"the creator alone, with credentials", []ZooKeeperOpt{WithAuth("digest", []byte("user:secret"))}, creator},
		{"also with rpcx-zookeeper's", []ZooKeeperOpt{WithZkOptions(&store.Config{Username: "user", Password: "secret"})}, creator},
		{
			"or as said",
			[]ZooKeeperOpt{WithAuth("digest", []byte("user:secret")), WithZkACL([]ACL{{Perms: 15, Scheme: "world", ID: "anyone"}})},
			zktest.ACL{Perms: 15, Scheme: "world", ID: "anyone"},
		},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			inBubble(t, func(b bubble) {
				way := &mortal{zk: b.zk}
				old := b.plugin(append(tc.opts, WithDialer(way.dial))...)
				b.register(old, "Arith", "a")
				pass(time.Second)
				way.kill()
				p := b.plugin(tc.opts...)
				b.register(p, "Arith", "b") // a takeover
				pass(time.Second)
				for _, path := range []string{"/rpcx", "/rpcx/Arith", nodePath} {
					n, err := b.zk.Get(path)
					if err != nil || len(n.ACL) != 1 || n.ACL[0] != tc.want {
						b.Errorf("%s: %+v, %v, want %+v", path, n.ACL, err, tc.want)
					}
				}
				if !p.Registered() {
					b.Error(p.Status())
				}
			})
		})
	}
}

// The network is not needed: what the options set up is seen in the dialler.
func TestTLSIsSpokenWhenItIsAskedFor(t *testing.T) {
	for _, opt := range []ZooKeeperOpt{
		WithTLS(&tls.Config{MinVersion: tls.VersionTLS13}),
		WithZkOptions(&store.Config{TLS: &tls.Config{MinVersion: tls.VersionTLS13}}),
	} {
		inBubble(t, func(b bubble) {
			var hellos atomic.Int32
			b.plugin(opt, WithDialer(func(context.Context, string, string) (net.Conn, error) {
				client, server := net.Pipe()
				go func() {
					defer server.Close()
					head := make([]byte, 3)
					if n, _ := server.Read(head); n == 3 && head[0] == 0x16 && head[1] == 3 { // a handshake record
						hellos.Add(1)
					}
				}()
				return client, nil
			}))
			pass(time.Second)
			if hellos.Load() == 0 {
				b.Error("no TLS")
			}
		})
	}
}
