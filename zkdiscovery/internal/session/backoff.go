package session

import (
	"math/rand/v2"
	"time"
)

const (
	firstBackoff = 200 * time.Millisecond
	// MaxBackoff is the longest pause between two rounds through the servers.
	MaxBackoff = 5 * time.Second
	// stableAfter is how long a connection must have lasted to be a success: one that is thrown out sooner counts as a failed attempt, or
	// a server that accepts and drops would be dialled without a pause.
	stableAfter = MaxBackoff
	// herdJitter spreads the clients of a server that died over the others.
	herdJitter = 100 * time.Millisecond
)

// pause is how long to wait before a round through the servers, after so many failed rounds: doubling from firstBackoff to MaxBackoff,
// jittered downwards by up to half ("equal jitter", Brooker, "Exponential Backoff And Jitter", 2015), so that it is never longer than said.
func pause(failedRounds int) time.Duration {
	if failedRounds <= 0 {
		return 0
	}
	d := MaxBackoff
	if shift := failedRounds - 1; shift < 5 {
		d = min(firstBackoff<<shift, MaxBackoff)
	}
	return d/2 + rand.N(d/2)
}
