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
	position position
	strange  bool // something was not understood, and has its default
}

func (t traits) same(u traits) bool {
	return t.weight == u.weight && t.zone == u.zone && (t.position == u.position || !t.position.valid() && !u.position.valid())
}

// parseTraits reads metadata as rpcx writes it: a URL query in which the first value of a name counts. What url.ParseQuery refuses (a semicolon,
// a bad escape) spoils its own pair only. It never fails: a weight that is negative or no number is 1.
func parseTraits(metadata string) traits {
	t := traits{weight: 1, position: nowhere}
	var latitude, longitude string
	var seen struct{ weight, zone, state, latitude, longitude bool }
	first := func(flag *bool) bool { was := *flag; *flag = true; return !was }
	inactive := false
	for metadata != "" {
		var pair string
		pair, metadata, _ = strings.Cut(metadata, "&")
		name, value, _ := strings.Cut(pair, "=")
		value = unescape(value)
		switch unescape(name) {
		case "weight":
			if first(&seen.weight) {
				t.weight, t.strange = parseWeight(value)
			}
		case "zone":
			if first(&seen.zone) {
				t.zone = value
			}
		case "state":
			if first(&seen.state) {
				inactive = value == "inactive"
			}
		case "latitude":
			if first(&seen.latitude) {
				latitude = value
			}
		case "longitude":
			if first(&seen.longitude) {
				longitude = value
			}
		}
	}
	if inactive {
		t.weight = 0
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
	if !strings.ContainsAny(s, "%+") {
		return s
	}
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
	if err != nil {
		if n == math.MaxUint64 { // out of range: a number, and a large one
			return maxWeight, true
		}
		return 1, true
	}
	return uint32(min(n, maxWeight)), n > maxWeight
}

const (
	// spread is the largest ratio of two weights.
	spread = 1000
	// fine bounds weights once they are within the spread, so that their inverse is exact to a millionth.
	fine = 1_000_000
)

// tame brings weights, none of them 0, within the spread. A few that stand out are brought to where most are: the many too large for the least are
// those that are right if more than half of all are.
func tame(weights []uint32) {
	if len(weights) == 0 {
		return
	}
	least, most := slices.Min(weights), slices.Max(weights)
	if uint64(most) > uint64(least)*spread {
		sorted := slices.Clone(weights)
		slices.Sort(sorted)
		if middle := float64(sorted[len(sorted)/2]); middle <= math.Sqrt(float64(least))*math.Sqrt(float64(most)) {
			most = least * spread
		} else {
			least = most/spread + 1
		}
		for i, w := range weights {
			weights[i] = min(max(w, least), most)
		}
	}
	if most > fine {
		for i, w := range weights {
			weights[i] = uint32(max(1, uint64(w)*fine/uint64(most)))
		}
	}
}
