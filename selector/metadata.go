package selector

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// traits are what a server's metadata says that matters here.
type traits struct {
	weight   uint32 // 0: drained
	zone     string
	tag      string
	position position
	started  int64 // seconds since 1970; 0: it does not say
	strange  bool  // something was not understood, and has its default
}

// names are those of the values that matter here.
var names = [...]string{"weight", "zone", "tag", "started", "state", "latitude", "longitude"}

// parseTraits reads metadata as rpcx writes it: a URL query in which the first value of a name counts. What url.ParseQuery refuses (a semicolon,
// a bad escape) spoils its own pair only. It never fails: a weight that is negative or no number is 1.
func parseTraits(metadata string) traits {
	var values [len(names)]string
	var seen [len(names)]bool
	for metadata != "" {
		var pair string
		pair, metadata, _ = strings.Cut(metadata, "&")
		name, value, _ := strings.Cut(pair, "=")
		if i := slices.Index(names[:], unescape(name)); i >= 0 && !seen[i] {
			seen[i], values[i] = true, unescape(value)
		}
	}
	weight, started, state, latitude, longitude := values[0], values[3], values[4], values[5], values[6]
	t := traits{zone: values[1], tag: values[2], position: nowhere}
	t.weight, t.strange = parseWeight(weight)
	if state == "inactive" {
		t.weight = 0
	}
	if n, err := strconv.ParseInt(started, 10, 64); err == nil && n > 0 {
		t.started = n
	} else if started != "" {
		t.strange = true
	}
	if latitude != "" || longitude != "" {
		lat, err1 := strconv.ParseFloat(latitude, 64)
		lon, err2 := strconv.ParseFloat(longitude, 64)
		if p := (position{lat, lon}); err1 == nil && err2 == nil && p.valid() {
			t.position = p
		} else {
			t.strange = true
		}
	}
	return t
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// maxWeight bounds a single weight, so that sums do not overflow.
const maxWeight = math.MaxInt32

func parseWeight(s string) (w uint32, strange bool) {
	if s == "" {
		return 1, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil && n == 0 { // no number; one that is too large is the largest
		return 1, true
	}
	return uint32(min(n, maxWeight)), n > maxWeight
}

// position is a place on Earth, in degrees.
type position struct{ latitude, longitude float64 }

// nowhere is the position of a server that says none.
var nowhere = position{math.Inf(1), math.Inf(1)}

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
