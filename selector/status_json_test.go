package selector

import (
	"encoding"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// V1: json.Marshal(Status()) gave numbers for policies, states and reasons.
func TestAStatusInJSONHasItsReasonsInWords(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	st := Status{Policy: Locality, Live: true, Panic: true, Retries: 13, RetriesDenied: 14, Servers: []ServerStatus{{
		Key: "tcp@a:1", State: Ejected, Reason: CallsFailed, Since: at, Until: at, Weight: 1, Zone: "z", Tag: "t", Picks: 2, Share: 0.25, InFlight: 3,
		Peak: 1500 * time.Microsecond, Ejected: 4, Succeeded: 5, ServiceErrors: 6, TransportErrors: 7, Timeouts: 8, DialErrors: 9, Written: 10, GivenUp: 11, NotSent: 12,
	}, {}}}
	const want = `{
  "policy": "Locality",
  "live": true,
  "panic": true,
  "servers": [
    {
      "key": "tcp@a:1",
      "state": "ejected",
      "reason": "calls failed",
      "since": "2026-01-02T03:04:05Z",
      "until": "2026-01-02T03:04:05Z",
      "weight": 1,
      "zone": "z",
      "tag": "t",
      "picks": 2,
      "share": 0.25,
      "inFlight": 3,
      "peakSeconds": 0.0015,
      "ejected": 4,
      "succeeded": 5,
      "serviceErrors": 6,
      "transportErrors": 7,
      "timeouts": 8,
      "dialErrors": 9,
      "written": 10,
      "givenUp": 11,
      "notSent": 12
    },
    {
      "key": "",
      "state": "fresh",
      "reason": "",
      "weight": 0,
      "zone": "",
      "tag": "",
      "picks": 0,
      "share": 0,
      "inFlight": 0,
      "peakSeconds": 0,
      "ejected": 0,
      "succeeded": 0,
      "serviceErrors": 0,
      "transportErrors": 0,
      "timeouts": 0,
      "dialErrors": 0,
      "written": 0,
      "givenUp": 0,
      "notSent": 0
    }
  ],
  "retries": 13,
  "retriesDenied": 14
}`
	got, err := json.MarshalIndent(st, "", "  ")
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
}

func TestPoliciesStatesAndReasonsAreReadBackAsTheyAreWritten(t *testing.T) {
	type text interface {
		encoding.TextMarshaler
		encoding.TextUnmarshaler
	}
	check := func(v text, zero func(), same func() bool) {
		t.Helper()
		text, err := v.MarshalText()
		zero()
		if back := v.UnmarshalText(text); err != nil || back != nil || !same() {
			t.Errorf("%s: %v, %v", text, err, back)
		}
	}
	for want := P2C; want <= Random; want++ {
		p := want
		check(&p, func() { p = -1 }, func() bool { return p == want })
	}
	for want := Fresh; want <= Spare; want++ {
		s := want
		check(&s, func() { s = 99 }, func() bool { return s == want })
	}
	for want := NoReason; want <= ConnectionBroke; want++ {
		r := want
		check(&r, func() { r = 99 }, func() bool { return r == want })
	}
}
