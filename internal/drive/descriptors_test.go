//go:build unix

package drive

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"

	"github.com/holdfast-go/holdfast/internal/belief"
	"github.com/holdfast-go/holdfast/internal/probe"
)

// instancesOf names the environment variable with the instances that the child asks.
const instancesOf = "DRIVE_TEST_INSTANCES"

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
	now := time.Now()
	b := belief.New(belief.Config{Reached: true})
	answers := make(chan func(time.Time))
	var alive atomic.Int64
	ask := func(ctx context.Context, network, address string) error {
		err := probe.Heartbeat(nil)(ctx, network, address)
		if err == nil {
			alive.Add(1)
		}
		return err
	}
	d := New(b, Guard{Probe: ask, ProbeTimeout: time.Minute}, answers, new(Gate), slog.New(slog.DiscardHandler)) // no instance is let go for being slow, either
	round := func(then time.Duration) (answered int) {
		d.Ask(t.Context(), now)
		all := make(chan struct{})
		go func() {
			defer close(all)
			d.Wait()
		}()
		for {
			select {
			case answer := <-answers:
				answered++
				answer(now)
			case <-all:
				now = now.Add(then)
				b.Tick(now)
				return answered
			}
		}
	}
	var pairs []*client.KVPair
	for _, key := range keys {
		pairs = append(pairs, &client.KVPair{Key: key})
	}
	slices.SortFunc(pairs, belief.ByKey)
	b.Live(1, 0, now)
	b.Listed(belief.Listing{Pairs: pairs, Zxid: 1, Synced: true, AsOf: now}, now)
	b.Listed(belief.Listing{Zxid: 2, Synced: true, Edits: 1, AsOf: now}, now)
	now = now.Add(time.Second) // over which first probes are spread
	for range 5 {
		if n := round(12 * time.Second); n != len(keys) || len(b.Shown().Held) != len(keys) {
			t.Fatalf("%d were to be asked without a descriptor, and %d of %d are still there", n, len(b.Shown().Held), len(keys))
		}
	}
	if n := alive.Load(); n > 0 {
		t.Errorf("%d were reached without a descriptor", n)
	}
	for _, f := range fillers {
		_ = f.Close()
	}
	for range 5 {
		if n := round(3 * time.Minute); n != len(keys) || len(b.Shown().Held) != len(keys) {
			t.Fatalf("%d were asked with descriptors, and %d of %d are there", n, len(b.Shown().Held), len(keys))
		}
	}
	if n := alive.Load(); n != 5*int64(len(keys)) {
		t.Errorf("%d were reached with descriptors, want all %d five times", n, len(keys))
	}
}
