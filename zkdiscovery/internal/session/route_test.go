package session

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

var (
	errNo   = fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	errLate = fmt.Errorf("dial: %w", os.ErrDeadlineExceeded)
)

func threeServers() route {
	return newRoute(&Config{Servers: []string{"a:1", "b:2", "127.0.0.1:3"}})
}

func TestRouteTriesEveryServerOncePerRound(t *testing.T) {
	r := threeServers()
	orders := make(map[string]bool)
	for round := range 50 {
		var addrs []string
		for i := range 3 {
			target, wait := r.next()
			if i == 0 && round > 0 {
				if wait < pause(round)/2 || wait > MaxBackoff {
					t.Errorf("round %d begins after %v", round, wait)
				}
			} else if wait != 0 {
				t.Errorf("round %d, attempt %d: waits %v", round, i, wait)
			}
			addrs = append(addrs, target.server)
			if over := r.failed(errNo); over != (i == 2) {
				t.Errorf("round %d, attempt %d: over %v", round, i, over)
			}
		}
		orders[fmt.Sprint(addrs)] = true
		if slices.Sort(addrs); !slices.Equal(addrs, []string{"127.0.0.1:3", "a:1", "b:2"}) {
			t.Errorf("round %d tried %v", round, addrs)
		}
	}
	if len(orders) < 4 {
		t.Errorf("the order is always one of %v", orders)
	}
}

func TestRouteTellsRefusedFromUnanswered(t *testing.T) {
	for _, tc := range []struct {
		rule string
		errs []error
		want bool
	}{
		{"all refused", []error{errNo, errNo, errNo}, true},
		{"hung up on is refused", []error{errNo, errTurned, errExpired}, true},
		{"one did not answer", []error{errNo, errLate, errNo}, false},
		{"the last did not answer", []error{errNo, errNo, context.DeadlineExceeded}, false},
		{"a name server did not answer", []error{&net.DNSError{IsTimeout: true}, errNo, errNo}, false},
		{"an unknown name is refused", []error{&net.DNSError{IsNotFound: true}, errNo, errNo}, true},
	} {
		r := threeServers()
		for range 2 { // each round by itself
			for _, err := range tc.errs {
				r.next()
				r.failed(err)
			}
			if r.allRefused != tc.want {
				t.Errorf("%s: %v, want %v", tc.rule, r.allRefused, tc.want)
			}
		}
	}
}

func TestRouteTriesTheOtherAddressesOfANameNext(t *testing.T) {
	r := threeServers()
	first, _ := r.next()
	r.again(first.at("10.0.0.2:1", "10.0.0.3:1"))
	if over := r.failed(errNo); over {
		t.Error("over after 1 of 4 attempts")
	}
	if got, _ := r.next(); got.server != first.server || !slices.Equal(got.addrs, []string{"10.0.0.2:1", "10.0.0.3:1"}) {
		t.Errorf("then %+v", got)
	}
	for range 2 {
		r.failed(errNo)
		if got, _ := r.next(); got.server == first.server {
			t.Errorf("%s again in one round", first.server)
		}
	}
	if !r.failed(errNo) {
		t.Error("not over")
	}
}

func TestRouteResolvesNamesAnewInEveryRoundAndAddressesNever(t *testing.T) {
	r := threeServers()
	for range 5 {
		for range 3 {
			target, _ := r.next()
			if isName := target.server != "127.0.0.1:3"; isName != (len(target.addrs) == 0) {
				t.Errorf("%+v", target)
			}
			r.failed(errNo)
		}
	}
	r = newRoute(&Config{Servers: []string{"a:1"}, Dial: (&net.Dialer{}).DialContext})
	if target, _ := r.next(); !slices.Equal(target.addrs, []string{"a:1"}) {
		t.Error("a dialler of one's own does not get the name")
	}
}

func TestRouteBeginsAnewAfterAConnection(t *testing.T) {
	r := threeServers()
	r.next()
	r.lost(time.Hour)
	if _, wait := r.next(); wait > herdJitter {
		t.Errorf("after one that lasted: %v, want %v at most", wait, herdJitter)
	}
	if len(r.pending) != 2 {
		t.Errorf("%d servers left, want a new round", len(r.pending))
	}
	for i := range 10 {
		r.lost(stableAfter - 1)
		if _, wait := r.next(); wait < pause(i+1)/2 {
			t.Errorf("after %d that did not last: %v", i+1, wait)
		}
	}
	r.lost(stableAfter)
	if r.failedRounds != 0 {
		t.Error("one that lasted does not end the row of those that did not")
	}
}
