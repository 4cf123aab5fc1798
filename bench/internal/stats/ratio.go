package stats

import "math"

// Ratio is a ratio of two medians. Low to High is its interval of 95 % confidence where Sure is true. Otherwise too little was measured for one,
// and they are the least and the greatest ratio of one value of each.
type Ratio struct {
	Value Number `json:"value"`
	Low   Number `json:"low"`
	High  Number `json:"high"`
	Sure  bool   `json:"sure"`
}

// RatioOf is the median of a divided by the median of b. Its interval is made of those of the two medians, on a scale of logarithms: on each side
// the distances of the two ends from their medians are added as the sides of a right angle are (the method of variance estimates recovery, Zou and
// Donner 2008). Since the two come from order statistics, it holds for few values too. The ratio is not known, ok is false, while one of the series is
// empty or b's median is 0 or infinite.
func RatioOf(a, b Series) (r Ratio, ok bool) {
	if a.Len() == 0 || b.Len() == 0 {
		return Ratio{}, false
	}
	sa, sb := a.sorted(), b.sorted()
	ma, mb := median(sa), median(sb)
	if mb == 0 || math.IsInf(mb, 1) {
		return Ratio{}, false
	}
	la, ha, ca := medianRanks(len(sa))
	lb, hb, cb := medianRanks(len(sb))
	r = Ratio{Value: Number(ma / mb), Sure: ca > 0 && cb > 0}
	if !r.Sure {
		r.Low, r.High = Number(quotient(sa[0], sb[len(sb)-1])), Number(quotient(sa[len(sa)-1], sb[0]))
		return r, true
	}
	down := math.Hypot(distance(sa[la], ma), distance(mb, sb[hb]))
	up := math.Hypot(distance(ma, sa[ha]), distance(sb[lb], mb))
	r.Low, r.High = Number(below(ma/mb, down)), Number(above(ma/mb, up))
	return r, true
}

// distance is that from low to high in logarithms. It is infinite where a 0 or what never happened lies apart from something else.
func distance(low, high float64) float64 {
	if low == high {
		return 0
	}
	return math.Log(high) - math.Log(low)
}

// below is v less a distance. Where that is infinite nothing is known but that the ratio is not negative.
func below(v, d float64) float64 {
	if math.IsInf(d, 1) {
		return 0
	}
	return v * math.Exp(-d)
}

// above is v and a distance: nothing is known where that is infinite.
func above(v, d float64) float64 {
	if math.IsInf(d, 1) {
		return d
	}
	return v * math.Exp(d)
}

// quotient of what is not negative. Something divided by 0 is infinite, and 0 by 0, or infinity by infinity, may be anything: the caller wants an end
// of a range, and such a value does not narrow it.
func quotient(a, b float64) float64 {
	q := a / b
	if math.IsNaN(q) {
		if a == 0 {
			return math.Inf(1)
		}
		return 0
	}
	return q
}

// Overlaps reports whether the intervals of two runs have a value in common.
func (r Ratio) Overlaps(o Ratio) bool { return r.Low <= o.High && o.Low <= r.High }

// Width is how many times Low High is. It is infinite where that is not known.
func (r Ratio) Width() float64 {
	if r.Low == 0 || r.High.Never() {
		return math.Inf(1)
	}
	return float64(r.High / r.Low)
}
