package selector

import "math"

// position is a place on Earth, in degrees.
type position struct{ latitude, longitude float64 }

// nowhere is the position of a server that says none.
var nowhere = position{math.NaN(), math.NaN()}

// valid is false for nowhere, too.
func (p position) valid() bool { return math.Abs(p.latitude) <= 90 && math.Abs(p.longitude) <= 180 }

// kilometres returns the great-circle distance by the haversine formula, with rpcx's radius of the Earth; infinite if one is nowhere.
func (p position) kilometres(q position) float64 {
	if !p.valid() || !q.valid() {
		return math.Inf(1)
	}
	const radian = math.Pi / 180
	h := haversine((q.latitude-p.latitude)*radian) +
		math.Cos(p.latitude*radian)*math.Cos(q.latitude*radian)*haversine((q.longitude-p.longitude)*radian)
	return 2 * 6378.1 * math.Asin(math.Sqrt(min(max(h, 0), 1))) // rounding may put antipodes beyond 1
}

func haversine(theta float64) float64 { s := math.Sin(theta / 2); return s * s }
