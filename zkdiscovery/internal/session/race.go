package session

import (
	"context"
	"fmt"
	"net"
	"time"
)

// headStart is how long an address is tried alone before the next one is tried too (RFC 8305, "Connection Attempt Delay").
const headStart = 250 * time.Millisecond

// race tries addresses one after the other: the next begins headStart after the one before, or at once when all that have begun have failed. The
// first connection wins. The other tries are cancelled and waited for, and what they connect is closed. It returns the winner's index and the
// addresses that have neither won nor failed; or the errors of all.
func race(ctx context.Context, addrs []string, try func(ctx context.Context, addr string) (net.Conn, error)) (c net.Conn, won int, rest []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		i   int
		c   net.Conn
		err error
	}
	results := make(chan result, len(addrs)) // each try sends once
	failed := make([]bool, len(addrs))
	begun, running := 0, 0
	begin := func() {
		i := begun
		begun++
		running++
		go func() {
			c, err := try(ctx, addrs[i])
			results <- result{i, c, err}
		}()
	}
	begin()
	next := time.NewTicker(headStart)
	defer next.Stop()
	for running > 0 {
		select {
		case <-next.C:
			if begun < len(addrs) && c == nil {
				begin()
			}
		case r := <-results:
			running--
			switch {
			case r.err == nil && c == nil:
				c, won = r.c, r.i
				cancel()
			case r.err == nil:
				_ = hangUp(r.c) // too late
			case c == nil: // a try that was not cancelled
				failed[r.i] = true
				err = joined(err, r.err)
				if begun < len(addrs) && running == 0 && ctx.Err() == nil {
					begin()
					next.Reset(headStart)
				}
			}
		}
	}
	if c == nil {
		return nil, 0, nil, err
	}
	for i, addr := range addrs {
		if i != won && !failed[i] {
			rest = append(rest, addr)
		}
	}
	return c, won, rest, nil
}

// joined is errors.Join in one line.
func joined(a, b error) error {
	if a == nil {
		return b
	}
	return fmt.Errorf("%w; %w", a, b)
}
