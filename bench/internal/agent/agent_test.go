package agent

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
)

func TestMain(m *testing.M) {
	RunIfAsked(contender.ByName)
	goleak.VerifyTestMain(m)
}

func TestFieldsSurviveTheLine(t *testing.T) {
	in := []any{"open", []string{"127.0.0.1:1", "[::1]:2"}, "", "a b%=&\n", "-", 7, 1500 * time.Millisecond, "über"}
	want := []string{"open", "127.0.0.1:1,[::1]:2", "", "a b%=&\n", "", "7", "1500", "über"}
	if got := decode(encode(in...)); !slices.Equal(got, want) {
		t.Errorf("%q became %q", in, got)
	}
}

// zooKeeper is an in-process server, and a registry in it.
func zooKeeper(t *testing.T) (addr string, r *registry.Registry) {
	t.Helper()
	server := zktest.Start(t)
	r, err := registry.Connect(t.Context(), []string{server.Addr()}, "/bench", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil && !errors.Is(err, context.Canceled) { // t.Context has ended
			t.Log(err)
		}
	})
	return server.Addr(), r
}

func launch(t *testing.T, l *Launcher, name string) *Process {
	t.Helper()
	p, err := l.Start(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAnAgentTellsWhatItsContenderSees(t *testing.T) {
	// Not rpcx-zookeeper, alone or cached: what is added while it reads everything a second time it never sees.
	for _, name := range []string{contender.Holdfast, contender.Uncached, contender.Floor, contender.BareFloor} {
		t.Run(name, func(t *testing.T) {
			addr, r := zooKeeper(t)
			s, err := r.Service("Arith", 3)
			if err != nil {
				t.Fatal(err)
			}
			p, ctx := launch(t, new(Launcher), name), soon(t)
			o := Open{Servers: []string{addr}, Base: "bench", Service: "Arith", Dir: t.TempDir(), Want: 3, Watchers: 4, Stuck: 1, SessionTimeout: 5 * time.Second}
			if took, err := p.Open(ctx, o); err != nil || took <= 0 {
				t.Fatalf("opened in %v, %v", took, err)
			}
			key := registry.Key(3)
			seen, err := p.Expect(ctx, key, "in")
			if err != nil {
				t.Fatal(err)
			}
			select {
			case <-seen:
				t.Fatal("seen before it was done")
			default:
			}
			began := time.Now()
			if err := s.Add(key, "weight=2"); err != nil {
				t.Fatal(err)
			}
			select {
			case at := <-seen:
				if took := at.Sub(began); took <= 0 || took > 20*time.Second {
					t.Errorf("seen %v later", took)
				}
			case <-ctx.Done():
				t.Fatal("never seen")
			}
			want, err := s.Digest()
			if err != nil {
				t.Fatal(err)
			}
			for got := ""; got != want; { // a watcher that is not the first may have been the last
				if got, err = p.Digest(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if st, err := p.Stats(ctx); err != nil || st.Goroutines < 4 || st.Heap < 1<<18 {
				t.Errorf("%+v, %v", st, err)
			}
			if u, err := p.Used(ctx); err != nil || u.CPU <= 0 || u.Allocated < 1<<16 {
				t.Errorf("%+v, %v", u, err)
			}
			if err := p.Shut(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAContendersFailureIsItsWord(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := l.Addr().String()
	l.Close()
	_, err = launch(t, new(Launcher), contender.Peer).Open(soon(t), Open{Servers: []string{refused}, Base: "bench", Service: "Arith", Want: 1, SessionTimeout: time.Second})
	failure, ok := errors.AsType[*Failure](err)
	if !ok || failure.Took <= 0 || !strings.Contains(failure.Why, "connect") {
		t.Errorf("%v", err)
	}
	var refusal *Failure
	if _, err := launch(t, new(Launcher), "nobody").Digest(soon(t)); !errors.As(err, &refusal) {
		t.Errorf("an unknown contender: %v", err)
	}
}

func TestWhoHangsIsNotWaitedFor(t *testing.T) {
	addr, _ := zooKeeper(t)
	p := launch(t, new(Launcher), contender.Holdfast)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	o := Open{Servers: []string{addr}, Base: "bench", Service: "Nobody", Want: 1, SessionTimeout: time.Second}
	if _, err := p.Open(ctx, o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a list that never comes: %v", err)
	}
	p.Close()
	if _, err := p.Digest(soon(t)); !errors.Is(err, ErrDied) {
		t.Errorf("after kill -9: %v", err)
	}
}

// An agent must not outlive the program, however that ends, not even while it waits for a ZooKeeper that is silent.
func TestAnAgentEndsWithItsStdin(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	l := new(Launcher)
	missing := l.compileCurator(t.Context(), t.TempDir())
	for _, name := range []string{contender.Holdfast, contender.Curator} {
		t.Run(name, func(t *testing.T) {
			if !l.Has(name) {
				t.Skip(missing)
			}
			idle, busy := launch(t, l, name), launch(t, l, name)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			o := Open{Servers: []string{silent.Addr().String()}, Base: "bench", Service: "Arith", Want: 1, SessionTimeout: 5 * time.Second}
			if _, err := busy.Open(ctx, o); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			for _, p := range []*Process{idle, busy} {
				if err := p.stdin.Close(); err != nil {
					t.Fatal(err)
				}
				select {
				case said, more := <-p.answers:
					if more {
						t.Errorf("it said %q", said)
					}
				case <-soon(t).Done():
					t.Error("it goes on")
				}
			}
		})
	}
}

func TestTheTailHasThePanic(t *testing.T) {
	var tl tail
	for _, s := range []string{"log\n", "panic: close of closed channel\n\ngoroutine 1 [running]:\n", "main.main()\n"} {
		if _, err := tl.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if got := tl.String(); got != "panic: close of closed channel" {
		t.Error(got)
	}
	if got := new(tail).String(); got != "" {
		t.Error(got)
	}
}
