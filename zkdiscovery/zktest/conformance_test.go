package zktest

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/seeds"
)

// The in-process server is only worth what it has in common with the real one. Here both are sent the same random requests, step by step,
// by several clients that share a few paths, and everything each of them answers has to be the same: codes, stats, zxids relative to the
// run's first, sequence numbers, and notifications with their places between the replies. When a run fails it prints its seed, which
// HOLDFAST_SEED repeats.

func TestAnswersAreThoseOfARealServer(t *testing.T) {
	timeouts := WithSessionTimeouts(20*time.Second, time.Minute)
	real := StartEnsemble(t, 1, timeouts)
	s := Start(t, timeouts, WithVersion(versionOf(t, real)))
	seed := seeds.One(t.Name())
	runs := 30
	if testing.Short() {
		runs = 5
	}
	started := time.Now()
	for i := range runs {
		if time.Since(started) > 40*time.Second {
			break // a machine this slow would see the real server look for empty containers, which it does once a minute
		}
		c := newComparison(t, s.cfg.version, seed+uint64(i), real.Servers()[0], s.Addr())
		for range 400 {
			c.step()
		}
		c.end()
	}
}

// versionOf is what a real server is to be compared with.
func versionOf(t *testing.T, e *Ensemble) Version {
	t.Helper()
	said, err := e.Command(0, "srvr")
	if err != nil {
		t.Fatal(err)
	}
	_, said, _ = strings.Cut(said, "version: ")
	for _, v := range []Version{Version34, Version35, Version39} {
		if strings.HasPrefix(said, v.String()+".") {
			return v
		}
	}
	return Version38
}
