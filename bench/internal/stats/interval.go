package stats

import "math"

// confidence is what an interval must have to be shown as one.
const confidence = 0.95

// medianRanks are the indices of two of n sorted values between which the median lies, and how sure that is, whatever the distribution. The number
// of values below the median is binomial with p = 1/2. The narrowest interval with at least 95 % is taken. Fewer than 6 values have none: coverage
// is 0, and the indices are those of the extremes.
func medianRanks(n int) (low, high int, coverage float64) {
	if n > 1000 { // where the binomial's power underflows the normal approximation is good to a rank; one more is given away for it
		k := int(float64(n)/2-1.96*math.Sqrt(float64(n))/2) - 1
		return k, n - 1 - k, confidence
	}
	high = n - 1
	outside, term := 0.0, 2*math.Pow(0.5, float64(n)) // outside of the k outermost values on both sides; that k lie below or above
	for k := 0; k < n-1-k; k++ {
		outside += term
		if 1-outside < confidence {
			break
		}
		low, high, coverage = k, n-1-k, 1-outside
		term *= float64(n-k) / float64(k+1)
	}
	return low, high, coverage
}
