package selector

import (
	"math"
	"net/url"
	"strconv"
	"testing"
)

func TestTraits(t *testing.T) {
	at := func(lat, lon float64) position { return position{lat, lon} }
	for _, c := range []struct {
		metadata string
		want     traits
	}{
		{"", traits{weight: 1}},
		{"group=a&weight=7&zone=b", traits{weight: 7, zone: "b"}},
		{"weight=0", traits{}},
		{"weight=", traits{weight: 1}},
		{"tag=canary&started=1700000000", traits{weight: 1, tag: "canary", started: 1700000000}},
		{"started=yesterday", traits{weight: 1, strange: true}},
		{"weight=7&weight=8", traits{weight: 7}}, // as url.Values.Get
		{"weight=-3", traits{weight: 1, strange: true}},
		{"weight=ten", traits{weight: 1, strange: true}},
		{"weight=1.5", traits{weight: 1, strange: true}},
		{"weight=4000000000", traits{weight: maxWeight, strange: true}},
		{"weight=99999999999999999999999", traits{weight: maxWeight, strange: true}},
		{"weight=3&state=inactive", traits{}},
		{"state=active&weight=3", traits{weight: 3}},
		{"zone=a+b%2Fc", traits{weight: 1, zone: "a b/c"}},
		{"zone=%zz&weight=2", traits{weight: 2, zone: "%zz"}}, // url.ParseQuery refuses it whole
		{"zone=a;b&weight=2", traits{weight: 2, zone: "a;b"}}, // this, too
		{`{"weight":5}`, traits{weight: 1}},                   // not a query at all
		{"latitude=52.5&longitude=13.4", traits{weight: 1, position: at(52.5, 13.4)}},
		{"latitude=NaN&longitude=0", traits{weight: 1, strange: true}},
		{"latitude=1&longitude=Inf", traits{weight: 1, strange: true}},
		{"latitude=91&longitude=0", traits{weight: 1, strange: true}},
		{"latitude=1", traits{weight: 1, strange: true}},
	} {
		got := parseTraits(c.metadata)
		if c.want.position == (position{}) {
			c.want.position = nowhere
		}
		if (got.position == c.want.position || !got.position.valid() && !c.want.position.valid()) && got.weight == c.want.weight &&
			got.zone == c.want.zone && got.tag == c.want.tag && got.started == c.want.started && got.strange == c.want.strange {
			continue
		}
		t.Errorf("%q: %+v, want %+v", c.metadata, got, c.want)
	}
}

// FuzzTraits compares with url.ParseQuery where that has an opinion.
func FuzzTraits(f *testing.F) {
	for _, m := range []string{"", "weight=5&zone=a", "weight=%35", "latitude=1&longitude=2", "state=inactive", "a;b=%", "zone=%E4&zone=2", "=&=&&"} {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, metadata string) {
		got := parseTraits(metadata)
		if got.weight > maxWeight || got.position != nowhere && !got.position.valid() {
			t.Fatalf("%+v", got)
		}
		values, err := url.ParseQuery(metadata)
		if err != nil {
			return
		}
		if z := values.Get("zone"); z != got.zone {
			t.Errorf("zone %q, want %q", got.zone, z)
		}
		if (values.Get("state") == "inactive") && got.weight != 0 {
			t.Errorf("inactive, and weight %d", got.weight)
		}
		if w, err := strconv.ParseUint(values.Get("weight"), 10, 31); err == nil && values.Get("state") != "inactive" && got.weight != uint32(w) {
			t.Errorf("weight %d, want %d", got.weight, w)
		}
	})
}

func TestDistances(t *testing.T) {
	berlin, paris := position{52.52, 13.405}, position{48.8566, 2.3522}
	for _, c := range []struct {
		a, b position
		want float64
	}{
		{berlin, berlin, 0},
		{berlin, paris, 878},
		{paris, berlin, 878},
		{position{0, 0}, position{0, 180}, 20_037},
		{position{90, 0}, position{-90, 77}, 20_037}, // antipodes: rounding must not make NaN of them
		{position{0, 179.9}, position{0, -179.9}, 22},
		{nowhere, berlin, math.Inf(1)},
		{berlin, nowhere, math.Inf(1)},
		{position{91, 0}, berlin, math.Inf(1)},
	} {
		if got := c.a.kilometres(c.b); got != c.want && !(math.Abs(got-c.want) < 1) {
			t.Errorf("%v to %v: %v km, want %v", c.a, c.b, got, c.want)
		}
	}
}
