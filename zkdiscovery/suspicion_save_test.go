package zkdiscovery

import (
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// The guard lets go one after the other while ZooKeeper has nothing to say: each list that differs is later for the file than all before, also when one
// was offered again in between.
func TestF3WhatTheGuardChangesIsLaterForTheFile(t *testing.T) {
	s := newSuspicion(&config{noGuard: true})
	now := time.Now()
	confirmed := now.Add(-time.Second)
	last := time.Time{}
	for i, tc := range []struct {
		key     string
		differs bool
	}{{"tcp@a", true}, {"tcp@b", true}, {"tcp@b", false}, {"tcp@c", true}, {"tcp@c", false}, {"tcp@c", false}, {"tcp@a", true}} {
		w := s.toSave(now, whole{generation: generation{"l", 1, 5}, pairs: []*client.KVPair{{Key: tc.key}}, asOf: confirmed})
		if w.asOf.Before(last) || tc.differs && !w.asOf.After(last) {
			t.Errorf("list %d, %s, is as of %v, the one before of %v", i, tc.key, w.asOf, last)
		}
		last = w.asOf
	}
	// The clock was set back: what the file says is in the future, and is to be corrected.
	past := now.Add(-time.Hour)
	if w := s.toSave(past, whole{generation: generation{"l", 1, 5}, pairs: []*client.KVPair{{Key: "tcp@a"}}, asOf: past}); !w.asOf.Equal(past) {
		t.Errorf("by a clock that was set back by an hour: as of %v, want %v", w.asOf, past)
	}
}
