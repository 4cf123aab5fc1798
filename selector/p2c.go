package selector

// lessLoaded returns the less loaded of two balls drawn at random (M. Mitzenmacher, The Power of Two Choices, 1996), by peak-EWMA latency and
// calls in flight. Loads within an eighth are equal, so that noise does not send everything to one of them; then the first drawn is taken,
// which keeps to the weights. The urn must not be empty.
func lessLoaded(u urn, r1, r2 uint64, ms uint32) *ball {
	i, j := u.drawTwo(r1, r2)
	a, b := &u.balls[i], &u.balls[j]
	if b.load(ms) < a.load(ms)*7/8 {
		return b
	}
	return a
}
