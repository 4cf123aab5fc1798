package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// listening has an instance that calls then and hangs up whenever it is asked, registered by nobody on a ZooKeeper of its own. path is that of its node.
func listening(t *testing.T, then func(ln net.Listener, zk *zktest.Server, path string)) (zk *zktest.Server, key, path string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	key = "tcp@" + ln.Addr().String()
	path = "/rpcx/Arith/" + key
	zk = zktest.Start(t)
	if err := zk.Put(path, nil); err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return // closed
			}
			then(ln, zk, path)
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = ln.Close(); served.Wait() })
	return zk, key, path
}

// ^C comes while an instance is asked: nothing was found out about it.
func TestWhoIsInterruptedWhileAskingKnowsNothing(t *testing.T) {
	for _, command := range []string{"remove", "doctor"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		zk, key, path := listening(t, func(net.Listener, *zktest.Server, string) { cancel() })
		args := []string{command, "--zk", zk.Addr(), "--service", "Arith"}
		if command == "remove" {
			args = append(args, key)
		}
		var out, diag strings.Builder
		if code := run(ctx, args, &out, &diag, os.Getenv); code != exitFailed || out.String() != "" || !strings.Contains(diag.String(), context.Canceled.Error()) {
			t.Errorf("%s: %d\n%s%s", command, code, &out, &diag)
		}
		if _, err := zk.Get(path); err != nil {
			t.Errorf("%s: the node of an instance that listens: %v", command, err)
		}
	}
}

// ^C is how watch ends, also while it waits for ZooKeeper.
func TestWatchIsInterruptedWhileItWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, key, _ := listening(t, func(net.Listener, *zktest.Server, string) { cancel() })
	var out, diag strings.Builder
	if code := run(ctx, []string{"watch", "--zk", strings.TrimPrefix(key, "tcp@"), "--service", "Arith", "--timeout", "5s"}, &out, &diag, os.Getenv); code != exitOK {
		t.Errorf("%d\n%s%s", code, &out, &diag)
	}
}

// A server is started at the address while the dead one is asked.
func TestRemoveLeavesWhatHasComeWhileItWasAsking(t *testing.T) {
	anew := func(zk *zktest.Server, path string) error { return errors.Join(zk.Delete(path), zk.Create(path, nil)) }
	written := func(zk *zktest.Server, path string) error { return zk.Set(path, []byte("weight=5")) }
	for rule, come := range map[string]func(zk *zktest.Server, path string) error{"a node made anew": anew, "one that was written": written} {
		zk, key, path := listening(t, func(ln net.Listener, zk *zktest.Server, path string) {
			if err := errors.Join(ln.Close(), come(zk, path)); err != nil {
				t.Error(err)
			}
		})
		wants(t, exitRefused, []string{"remove", "--zk", zk.Addr(), "--service", "Arith", key}, "has changed while it was asked")
		if _, err := zk.Get(path); err != nil {
			t.Errorf("%s: %v", rule, err)
		}
	}
}
