package mirror

import (
	"maps"
	"net/url"
	"slices"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/znode"
)

func TestAnInstanceIsNamedNetworkAtAddress(t *testing.T) {
	for name, want := range map[string]bool{
		"tcp@127.0.0.1:8972":   true,
		"tcp@[::1]:8972":       true,
		"unix@app.sock":        true,
		"quic@host:1":          true,
		"tcp@user@host:1":      true, // the first @ separates, as rpcx has it
		"tcp@h\u00f6st:1":      true,
		"":                     false,
		"127.0.0.1:8972":       false,
		"@127.0.0.1:8972":      false,
		"tcp@":                 false,
		"tcp@host :1":          false,
		"tcp@host:1\n":         false,
		"tcp\x00@host:1":       false,
		"tcp@host:1\x7f":       false,
		"_c_0001-lock-0000001": false,
	} {
		if key, ok := znode.InstanceKey(name); ok != want || key != name {
			t.Errorf("%q: key %q, %v; want %v", name, key, ok, want)
		}
	}
}

func TestMetadataIsAURLQueryAsRpcxReadsIt(t *testing.T) {
	for value, want := range map[string]bool{
		"": true, "weight=5&group=a&group=b": true, "state=inactive": true, "plain": true, `{"zone":"a"}`: true,
		"weight=5;group=a": false, "weight=%zz": false, `{"zone":"a;b"}`: false,
	} {
		if got := validMetadata(value); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestOnlyCallsAndConnectionsAreMetrics(t *testing.T) {
	for _, tc := range []struct {
		was, is string
		want    bool
	}{
		{"", "", true},
		{"weight=1", "weight=1", true},
		{"weight=1;x", "weight=1;x", true},
		{"weight=1&calls=5.00&connections=1.00", "calls=7.00&connections=2.00&weight=1", true},
		{"weight=1", "weight=1&calls=5.00", true},
		{"calls=1", "", true},
		{"weight=1&calls=5", "weight=2&calls=5", false},
		{"calls=5", "calls=5&state=inactive", false},
		{"group=a&group=b", "group=b&group=a", false}, // in the order given
		{"weight=1;x", "weight=1;x&calls=1", false},   // nobody knows what that says
		{"weight=1&Calls=1", "weight=1&Calls=2", false},
	} {
		if got := onlyMetrics(tc.was, tc.is); got != tc.want {
			t.Errorf("%q, %q: %v, want %v", tc.was, tc.is, got, tc.want)
		}
		if got := onlyMetrics(tc.is, tc.was); got != tc.want {
			t.Errorf("%q, %q: %v the other way round", tc.is, tc.was, got)
		}
	}
}

// FuzzOnlyMetrics checks that what counts as metrics is nothing that rpcx's client or a user reads.
func FuzzOnlyMetrics(f *testing.F) {
	f.Add("weight=1&calls=5", "weight=1&calls=6")
	f.Add("a=1;b", "a=1;b")
	f.Add("state=inactive&connections=%31", "connections=2&state=inactive")
	f.Fuzz(func(t *testing.T, was, is string) {
		got := onlyMetrics(was, is)
		if got != onlyMetrics(is, was) {
			t.Fatal("it depends on the order")
		}
		if !got || was == is {
			return
		}
		a, errA := url.ParseQuery(was)
		b, errB := url.ParseQuery(is)
		if errA != nil || errB != nil {
			t.Fatalf("taken for metrics: %v, %v", errA, errB)
		}
		for _, key := range slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))) {
			if key != "calls" && key != "connections" && !slices.Equal(a[key], b[key]) {
				t.Fatalf("%s differs: %q, %q", key, a[key], b[key])
			}
		}
	})
}
