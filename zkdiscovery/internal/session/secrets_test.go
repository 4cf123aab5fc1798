package session

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Credentials that rotate: those of the moment are asked for at every connection, and a node that only they may read is read.
func TestCredentialsAreAskedForAtEveryConnection(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		var mu sync.Mutex
		var sent []string
		cfg.Dial = wrapping(zk.Dial, func(c net.Conn) net.Conn {
			return recording{c, func(f []byte) {
				mu.Lock()
				defer mu.Unlock()
				for len(f) > 0 {
					if int32(be.Uint32(f[4:])) == xidAuth {
						sent = append(sent, string(f[4+8+4+4+len("digest")+4:4+be.Uint32(f)]))
					}
					f = f[4+be.Uint32(f):]
				}
			}}
		})
		var asked atomic.Int64
		cfg.Auth = []Auth{{"digest", []byte("ann:fixed")}}
		cfg.AuthFuncs = []AuthFunc{func() (string, []byte, error) { return "digest", fmt.Appendf(nil, "bob:%d", asked.Add(1)), nil }}
		connected(t, cfg)
		zk.DropConnections()
		settle(MaxBackoff)
		zk.ExpireAll()
		settle(MaxBackoff)
		mu.Lock()
		defer mu.Unlock()
		if n := asked.Load(); n < 3 || int(n)*2 != len(sent) || sent[1] != "bob:1" || sent[len(sent)-2] != "ann:fixed" || sent[len(sent)-1] != fmt.Sprint("bob:", n) {
			t.Errorf("asked %d times, sent %q", n, sent)
		}
	})
}

func TestMissingCredentialsAreAFailedAttemptAndHeal(t *testing.T) {
	vault := errors.New("the vault is sealed")
	for _, tc := range []struct {
		name string
		fail func() (string, []byte, error)
		why  error
	}{
		{"an error", func() (string, []byte, error) { return "digest", []byte("x:y"), vault }, vault},
		{"a panic", func() (string, []byte, error) { panic(vault) }, errNoCredentials},
		{"no scheme", func() (string, []byte, error) { return "", []byte("x:y"), nil }, errNoCredentials},
		{"an end of the goroutine", func() (string, []byte, error) { runtime.Goexit(); return "", nil, nil }, errNoCredentials},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				var well atomic.Bool
				var dials atomic.Int64
				cfg.Dial = counting(&dials, zk.Dial)
				cfg.AuthFuncs = []AuthFunc{func() (string, []byte, error) {
					if well.Load() {
						return "digest", []byte("x:y"), nil
					}
					return tc.fail()
				}}
				s := Open(cfg)
				defer s.Close()
				settle(time.Minute)
				if st := s.State(); st.Connected || !errors.Is(st.Err, tc.why) || !errors.Is(st.Err, errNoCredentials) || st.Rounds < 3 || dials.Load() != 0 {
					t.Errorf("%+v, %d dials", st, dials.Load())
				}
				well.Store(true)
				settle(MaxBackoff)
				if st := s.State(); !st.Connected {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

func TestAFunctionThatHangsIsAskedOnceAndDelaysNoClose(t *testing.T) {
	bubble(t, func(t *testing.T, _ *zktest.Server, cfg Config) {
		var asked atomic.Int64
		hang := make(chan struct{})
		cfg.AuthFuncs = []AuthFunc{func() (string, []byte, error) {
			asked.Add(1)
			<-hang
			return "digest", []byte("x:y"), nil
		}}
		s := Open(cfg)
		settle(10 * time.Minute)
		if st := s.State(); st.Connected || !errors.Is(st.Err, errNoCredentials) || asked.Load() != 1 {
			t.Errorf("%+v, asked %d times", st, asked.Load())
		}
		began := time.Now()
		s.Close()
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("Close took %v", d)
		}
		close(hang)
		settle(0)
	})
}
