package session

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// told is a try that follows a script: each address answers after so long, with an error if the text is not empty.
type script map[string]struct {
	after time.Duration
	fails string
}

func TestRaceTriesAddressesByTheScheduleOfRFC8305(t *testing.T) {
	const never = time.Hour
	for _, tc := range []struct {
		rule  string
		addrs string
		plan  script
		won   string // "" for an error
		took  time.Duration
		begun string
		rest  string
		err   string
	}{
		{rule: "one that connects", addrs: "a", plan: script{"a": {}}, won: "a", begun: "a"},
		{rule: "the first is quick enough", addrs: "a b", plan: script{"a": {after: 249 * time.Millisecond}, "b": {}}, won: "a", took: 249 * time.Millisecond, begun: "a", rest: "b"},
		{rule: "a black hole has a head start", addrs: "a b", plan: script{"a": {after: never}, "b": {}}, won: "b", took: headStart, begun: "a b", rest: "a"},
		{rule: "three black holes", addrs: "a b c d", plan: script{"a": {after: never}, "b": {after: never}, "c": {after: never}, "d": {}}, won: "d", took: 3 * headStart, begun: "a b c d", rest: "a b c"},
		{rule: "one that refuses is followed at once", addrs: "a b", plan: script{"a": {fails: "no"}, "b": {}}, won: "b", begun: "a b"},
		{rule: "slow is better than nothing", addrs: "a b", plan: script{"a": {after: 600 * time.Millisecond}, "b": {fails: "no"}}, won: "a", took: 600 * time.Millisecond, begun: "a b"},
		{rule: "all fail", addrs: "a b", plan: script{"a": {fails: "one"}, "b": {fails: "two"}}, begun: "a b", err: "one; two"},
		{rule: "who has asked is gone", addrs: "a b c", plan: script{"a": {after: never}, "b": {after: never}, "c": {after: never}}, took: 300 * time.Millisecond, begun: "a b", err: context.DeadlineExceeded.Error()},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			bubbles.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				if tc.won != "" {
					ctx = t.Context()
				}
				var mu sync.Mutex
				var begun []string
				addrs := strings.Fields(tc.addrs)
				begin := time.Now()
				c, won, rest, err := race(ctx, addrs, func(ctx context.Context, addr string) (net.Conn, error) {
					mu.Lock()
					begun = append(begun, addr)
					mu.Unlock()
					if err := sleep(ctx, tc.plan[addr].after); err != nil {
						return nil, err
					}
					if what := tc.plan[addr].fails; what != "" {
						return nil, errors.New(what)
					}
					c, _ := net.Pipe()
					return c, nil
				})
				if took := time.Since(begin); took != tc.took {
					t.Errorf("after %v, want %v", took, tc.took)
				}
				if got := strings.Join(begun, " "); got != tc.begun {
					t.Errorf("began %s, want %s", got, tc.begun)
				}
				if tc.won == "" {
					if c != nil || err == nil || !strings.Contains(err.Error(), tc.err) {
						t.Errorf("%v, %v", c, err)
					}
					return
				}
				if err != nil || c == nil || addrs[won] != tc.won || !slices.Equal(rest, strings.Fields(tc.rest)) {
					t.Errorf("%v won, rest %v, %v", won, rest, err)
				}
			})
		})
	}
}

// closes counts how often it is closed.
type closes struct {
	net.Conn
	n *int
}

func (c closes) Close() error { *c.n++; return nil }

func TestRaceClosesWhatConnectsTooLate(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		closed := 0
		c, won, _, err := race(t.Context(), []string{"a", "b"}, func(_ context.Context, addr string) (net.Conn, error) {
			if addr == "a" {
				time.Sleep(headStart + 2*time.Millisecond) // ignores its context
			} else {
				time.Sleep(time.Millisecond)
			}
			return closes{nil, &closed}, nil
		})
		if c == nil || won != 1 || err != nil || closed != 1 {
			t.Errorf("%d won, %d closed, %v", won, closed, err)
		}
	})
}
