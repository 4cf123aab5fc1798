package session

import (
	"testing"
	"time"
	"unsafe"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// What a subscriber has confirmed of what it knows depends on it: see State.Heard.
func TestHintsSaySinceWhenTheyMayTellOfSomething(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 2)
		s := connected(t, cfg)
		sub := s.Subscribe("/app")
		defer sub.Close()
		mirrored(t, s)
		settle(time.Minute)
		if h := sub.Take(); h.Any() || !h.Since.IsZero() {
			t.Errorf("at rest: %+v", h)
		}
		first := s.State().Heard
		changed := time.Now()
		must(t, zk.Set("/app/"+names[0], []byte("1")))
		settle(time.Minute)
		if !s.State().Heard.After(changed) {
			t.Fatal("no ping was answered")
		}
		must(t, zk.Set("/app/"+names[1], []byte("1"))) // another one, of which pings that were answered in between tell nothing
		settle(0)
		if h := sub.Take(); len(h.Children) != 2 || !h.Since.Equal(first) || h.Since.After(changed) {
			t.Errorf("hinted since %v, want %v, before the first change at %v: %+v", h.Since, first, changed, h)
		}
		if h := sub.Take(); h.Any() || !h.Since.IsZero() {
			t.Errorf("taken: %+v", h)
		}
	})
}

// A machine without a clock of its own begins in 1970; the clock is set when the network is there, and the connection to ZooKeeper may be older.
func TestHeardIsDatedByTodaysClock(t *testing.T) {
	k := &link{signs: signs{born: setSince(time.Now(), 50*365*24*time.Hour)}}
	k.signs.heard.Store(int64(time.Millisecond))
	if age := time.Now().Round(0).Sub(k.heardAt().Round(0)); age < -time.Minute || age > time.Minute {
		t.Errorf("a ping that was answered a moment ago is dated %v ago", age)
	}
	if a, b := k.heardAt(), k.heardAt(); !a.Equal(b) {
		t.Errorf("%v, then %v", a, b)
	}
}

// setSince is t as it was read before the clock was put forward by d: an earlier date at the same instant.
func setSince(t time.Time, d time.Duration) time.Time {
	const seconds = 30 // the bit of package time's word at which they begin, below the flag for the instant
	wall := (*uint64)(unsafe.Pointer(&t))
	*wall -= uint64(d/time.Second) << seconds
	return t
}
