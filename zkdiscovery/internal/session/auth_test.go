package session

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var credentials = []Auth{{"digest", []byte("ann:secret")}, {"digest", []byte("bob:word")}}

// Promise: credentials are the first thing that a new connection sends.
func TestCredentialsComeBeforeAnythingElseOnEveryConnection(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Auth = credentials
		var mu sync.Mutex
		var kinds []uint32
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			return recording{c, func(f []byte) {
				mu.Lock()
				defer mu.Unlock()
				for first := true; len(f) > 0; first = false {
					kind := be.Uint32(f[8:])
					if first && int32(be.Uint32(f[4:])) == 0 {
						kind = 0 // ConnectRequest: version 0
					}
					kinds = append(kinds, kind)
					f = f[4+be.Uint32(f):]
				}
			}}
		})
		s := connected(t, cfg)
		mirrored(t, s)
		fill(t, zk, 1)
		for range 3 {
			mu.Lock()
			kinds = nil
			mu.Unlock()
			mirrored(t, s)
			zk.DropConnections()
			settle(MaxBackoff)
			mu.Lock()
			at := max(slices.Index(kinds, 0), 0)
			if got := kinds[at:]; len(got) < 4 || got[1] != opAuth || got[2] != opAuth || got[3] != opSetWatches {
				t.Errorf("a connection began with %v", got)
			}
			mu.Unlock()
		}
	})
}

// recording shows what is written.
type recording struct {
	net.Conn
	see func([]byte)
}

func (c recording) Write(b []byte) (int, error) {
	c.see(b)
	return c.Conn.Write(b)
}

func TestRefusedCredentialsAreReportedRetriedAndHeal(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		log := &journal{}
		cfg.Logger = slog.New(log)
		cfg.Auth = credentials
		var attempts atomic.Int64
		cfg.Dial = counting(&attempts, zk.Dial)
		zk.FailNext(zktest.OpAuth, zktest.CodeAuthFailed, 1<<30)
		s := Open(cfg)
		defer s.Close()
		const outage = 2 * time.Hour
		settle(outage)
		if st := s.State(); st.Connected || !errors.Is(st.Err, ErrAuthRefused) || st.Session != 0 || !st.Refused {
			t.Errorf("%+v", st)
		}
		if n := attempts.Load(); n > int64(outage/(MaxBackoff/2))+10 {
			t.Errorf("%d attempts", n)
		}
		if lines := log.seen(); len(lines) != 1 || !strings.Contains(lines[0], ErrAuthRefused.Error()) || strings.Contains(lines[0], "secret") {
			t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, ""))
		}
		if n := zk.Stats().SessionsOpened; n != 1 {
			t.Errorf("%d sessions were opened for it", n)
		}
		zk.FailNext(zktest.OpAuth, 0, 0)
		settle(MaxBackoff)
		if st := s.State(); !st.Connected || st.Session != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestUnknownSchemeIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Auth = []Auth{{"nonsense", []byte("x")}}
		s := Open(cfg)
		defer s.Close()
		settle(time.Minute)
		if st := s.State(); st.Connected || !errors.Is(st.Err, ErrAuthRefused) {
			t.Errorf("%+v", st)
		}
	})
}

// Hazard Z3: go-zookeeper hangs for ever when the connection breaks while it sends credentials again. Here it breaks at every write in turn.
func TestConnectionThatBreaksWhileCredentialsAreSentIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Auth = credentials
		var links atomic.Int64
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			if n := int(links.Add(1)) % 6; n > 0 {
				return &breaking{Conn: c, after: n - 1}
			}
			return c
		})
		s := Open(cfg)
		defer s.Close()
		for range 50 {
			for settle(time.Second); links.Load()%6 != 0 || !s.State().Connected; settle(time.Second) {
				_, _ = s.List(t.Context(), "/app") // something to write
			}
			if _, err := s.List(t.Context(), "/app"); err != nil {
				t.Fatal(err)
			}
			zk.DropConnections()
		}
		if st := s.State(); st.Session != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// breaking fails every write after so many, and delivers nothing of it.
type breaking struct {
	net.Conn
	after int
}

func (c *breaking) Write(b []byte) (int, error) {
	if c.after--; c.after >= 0 {
		return c.Conn.Write(b)
	}
	return 0, errors.New("broken pipe")
}

func TestCredentialsThatAreNeverAnsweredEndTheLink(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Auth = credentials[:1]
		first := true
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			if !first {
				return c
			}
			first = false
			return filtered{c, func(f []byte) []byte {
				if int32(be.Uint32(f[4:])) == xidAuth {
					be.PutUint32(f[4:], 0x7fffffff) // somebody else's answer
				}
				return f
			}}
		})
		s := Open(cfg)
		defer s.Close()
		awaitState(t, s, 10*time.Second+10*time.Second/4+MaxBackoff, func(st State) bool { return st.Connected })
		if n := zk.Stats().Accepted; n != 2 {
			t.Errorf("%d connections", n)
		}
	})
}
