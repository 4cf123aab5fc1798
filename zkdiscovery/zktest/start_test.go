package zktest_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestStartIsReachableUntilTheTestIsOver(t *testing.T) {
	var zk *zktest.Server
	t.Run("a test", func(t *testing.T) {
		zk = zktest.Start(t)
		must(t, zk.Put("/a", nil))
		nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", zk.Addr())
		must(t, err)
		must(t, nc.Close())
	})
	if nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", zk.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the test: %v, %v", nc, err)
	}
	if _, err := zk.Dial(context.Background(), "tcp", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the test: %v", err)
	}
}

func TestStartTakesOptions(t *testing.T) {
	var commits []string
	zk := zktest.Start(t, zktest.WithJournal(func(c zktest.Commit) {
		for _, change := range c.Changes {
			commits = append(commits, change.Path)
		}
	}))
	must(t, zk.Put("/a", nil))
	if got := strings.Join(commits, " "); got != "/a" {
		t.Errorf("the journal has %q", got)
	}
}

// NewServer panics over options that are impossible. In a test, that would take the other tests with it.
func TestStartFailsTheTestOverImpossibleOptions(t *testing.T) {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		zktest.Start(r, zktest.WithTick(-time.Second))
	}()
	<-done
	if r.outcome != "failed" {
		t.Errorf("the test %s", r.outcome)
	}
}
