//go:build unix

package guard

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smallnest/rpcx/protocol"

	"github.com/holdfast-go/holdfast/internal/probe"
)

// instancesOf names the environment variable with the instances that the child asks.
const instancesOf = "GUARD_TEST_INSTANCES"

// A process of its own has a limit of descriptors of its own.
func TestAProcessWithoutDescriptorsLetsNobodyGo(t *testing.T) {
	if keys := os.Getenv(instancesOf); keys != "" {
		withoutDescriptors(t, strings.Fields(keys))
		return
	}
	var keys []string
	for range 200 {
		keys = append(keys, "tcp@"+living(t))
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), instancesOf+"="+strings.Join(keys, " "))
	out, err := child.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// living starts an instance that answers heartbeats, and returns its address.
func living(t *testing.T) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				msg, err := protocol.Read(conn)
				if err != nil {
					return
				}
				msg.SetMessageType(protocol.Response)
				_, _ = conn.Write(msg.Encode())
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

func withoutDescriptors(t *testing.T, keys []string) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // every client has used the network when it meets this
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	limit := syscall.Rlimit{Cur: 128, Max: 128}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var fillers []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		fillers = append(fillers, f)
	}
	b := newBench(t, Config{Parallel: 1000})
	q := Settings{ProbeTimeout: time.Minute}.NewQueue() // nobody is let go for being slow, either
	round := func() (answers [probe.Unaskable + 1]int64) {
		var got [len(answers)]atomic.Int64
		outcomes := make(map[string]probe.Answer)
		var mu sync.Mutex
		for _, a := range b.g.Probes(b.now) {
			q.Ask(context.WithoutCancel(t.Context()), a.Key, a.First, func(o probe.Outcome) {
				got[o.Answer].Add(1)
				mu.Lock()
				defer mu.Unlock()
				outcomes[a.Key] = o.Answer
			})
		}
		q.Wait()
		for key, answer := range outcomes {
			b.g.Probed(key, answer, b.now)
		}
		for i := range got {
			answers[i] = got[i].Load()
		}
		b.now = b.now.Add(againAfter)
		b.g.Tick(b.now)
		return answers
	}
	all := int64(len(keys))
	b.g.Listed(pairs(keys, ""), "a", b.now)
	b.g.Listed(nil, "a", b.now)
	for range 5 {
		if a := round(); a[probe.CouldNotAsk] != all || b.g.Inside() != len(keys) {
			t.Fatalf("%v without a descriptor, and %d of %d are still there", a, b.g.Inside(), all)
		}
	}
	for _, f := range fillers {
		_ = f.Close()
	}
	for range 5 {
		if a := round(); a[probe.Alive] != all || b.g.Inside() != len(keys) {
			t.Fatalf("%v with descriptors, and %d of %d are there", a, b.g.Inside(), all)
		}
	}
}
