package session

import (
	"testing"
	"time"
	"unsafe"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestPingsProveNothingToASubscriberThatIsBehind(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		names := fill(t, zk, 1)
		s := connected(t, cfg)
		sub, other := s.Subscribe("/app"), s.Subscribe("/elsewhere")
		defer sub.Close()
		defer other.Close()
		mirrored(t, s)
		settle(time.Minute)
		if at := sub.Proven(); !at.IsZero() {
			t.Errorf("proven as of %v to a subscriber that has never settled", at)
		}
		link := s.State().Link
		sub.Settle(link)
		other.Settle(link)
		keepsUp := func(sub *Subscription, want bool, when string) {
			t.Helper()
			was, heard := sub.Proven(), s.State().Heard
			settle(time.Minute)
			now := s.State().Heard
			switch got := sub.Proven(); {
			case !now.After(heard):
				t.Fatal("no ping was answered")
			case want && (!was.Equal(heard) || !got.Equal(now)), !want && !got.Equal(was):
				t.Errorf("%s: proven as of %v, then %v; heard %v, then %v", when, was, got, heard, now)
			}
		}
		keepsUp(sub, true, "settled")

		before := s.State().Heard
		must(t, zk.Set("/app/"+names[0], []byte("1")))
		settle(0)
		if at := sub.Proven(); !at.Equal(before) {
			t.Errorf("proven as of %v, want %v as when it was hinted", at, before)
		}
		keepsUp(sub, false, "hinted")
		keepsUp(other, true, "another path")
		sub.Settle(link)
		keepsUp(sub, false, "settled without having taken the hint")
		sub.Take()
		keepsUp(sub, false, "taken")
		sub.Settle(link)
		keepsUp(sub, true, "settled again")

		sub.Unsettle()
		keepsUp(sub, false, "unsettled")
		sub.Settle(link)

		zk.DropConnections()
		settle(MaxBackoff)
		keepsUp(sub, false, "on another connection")
		sub.Settle(link)
		keepsUp(sub, false, "settled for the connection before")
		sub.Settle(s.State().Link)
		keepsUp(sub, true, "settled for this one")
		sub.Close()
		keepsUp(sub, false, "closed")
	})
}

// A machine without a clock of its own begins in 1970; the clock is set when the network is there, and the connection to ZooKeeper may be older.
func TestHeardIsDatedByTodaysClock(t *testing.T) {
	k := &link{born: setSince(time.Now(), 50*365*24*time.Hour)}
	k.heard.Store(int64(time.Millisecond))
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
