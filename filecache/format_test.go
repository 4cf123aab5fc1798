package filecache

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// golden is what testdata/v1.json says. That file never changes: later versions of this library must go on reading it.
var golden = Snapshot{
	Ensemble: "zk1:2181,zk2:2181/prod", Service: "/prod/rpcx/Arith", Lineage: "4294967298-1767355445000", Era: 2, Zxid: 4294967299,
	SavedAt: time.Date(2026, 1, 2, 12, 0, 1, 500000000, time.UTC), AsOf: noon,
	Servers: []Server{
		{Key: "tcp@10.0.0.1:8972", Value: "weight=5&group=a&group=b"},
		{Key: "tcp@10.0.0.2:8972", Value: ""},
		{Key: "tcp@10.0.0.3:8972", Value: `{"zone":"<a>;\b"}`, HeldSince: time.Date(2026, 1, 2, 11, 58, 0, 0, time.UTC)},
		{Key: "unix@/tmp/ä\u2028.sock", Value: "\xff\x00"},
	},
}

func TestGoldenFile(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	again, err := encode(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(again)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

func TestFileIsOneJSONDocumentThatPeopleCanRead(t *testing.T) {
	data, err := encode(golden)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Holdfast int
		Ensemble string
		AsOf     time.Time
		Servers  []struct{ Key, Value string }
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	if document.Holdfast != 1 || document.Ensemble != golden.Ensemble || !document.AsOf.Equal(noon) || len(document.Servers) != 4 {
		t.Errorf("any JSON reader finds %+v", document)
	}
	if first, _, _ := strings.Cut(string(data), "\n"); !strings.HasPrefix(first, `{"holdfast": 1, "crc32c": "`) || !strings.Contains(first, "Arith") {
		t.Errorf("the first line is %q", first)
	}
	if !strings.Contains(string(data), `{"key": "tcp@10.0.0.1:8972", "value": "weight=5&group=a&group=b"}`) {
		t.Errorf("metadata is not as people know it:\n%s", data)
	}
	if n := strings.Count(string(data), "\n"); n != 3+len(golden.Servers)+2 {
		t.Errorf("%d lines for %d servers", n, len(golden.Servers))
	}
}

func TestDecodeRefusesWhatEncodeDidNotWrite(t *testing.T) {
	good, err := encode(golden)
	if err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if s, err := decode(good[:n]); err == nil {
			t.Fatalf("cut after %d bytes it reads as %+v", n, s)
		}
	}
	for n := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[n] ^= 1 << bit
			if s, err := decode(bad); err == nil {
				t.Fatalf("with bit %d of byte %d changed it reads as %+v", bit, n, s)
			}
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "zeros": string(make([]byte, 4096)), "not JSON": "weight=5\n\n", "something else": "{\"a\": 1,\n\"b\": 2,\n}",
		"followed by more": string(good) + string(good), "a later version without its rest": `{"holdfast": 2`,
		"version 0": "{\"holdfast\": 0,\n\n", "an endless version": `{"holdfast": ` + strings.Repeat("9", 1<<20),
	} {
		if _, err := decode([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			wantError(t, err, ErrCorrupt)
		}
	}
	_, err = decode(bytes.Replace(good, []byte(": 1,"), []byte(": 2,"), 1))
	wantError(t, err, ErrVersion)
}

func TestHeadIsEnoughToJudgeAFile(t *testing.T) {
	long := golden
	long.Ensemble, long.Service = strings.Repeat("\x01", maxNameLength), strings.Repeat("\u2028", maxNameLength/3)
	long.Lineage = strings.Repeat("\\", maxLineageLength)
	data, err := encode(long)
	if err != nil {
		t.Fatal(err)
	}
	h, size, err := decodeHead(data[:min(len(data), maxHead)])
	if err != nil || h.Ensemble != long.Ensemble || h.stamp() != long.stamp() {
		t.Fatalf("the longest head is not understood: %v", err)
	}
	if size > maxHead {
		t.Fatalf("the longest head has %d bytes, room is for %d", size, maxHead)
	}
}

func TestTimesThatCannotBeWrittenAreRefused(t *testing.T) {
	for _, s := range []Snapshot{
		{AsOf: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Servers: []Server{{HeldSince: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}}},
	} {
		if data, err := encode(s); err == nil {
			t.Errorf("written as %s", data)
		}
	}
}

// The quick way to read the servers says the same as the thorough one, or nothing.
func TestQuickAndThoroughReadingAgree(t *testing.T) {
	held := Server{Key: "tcp@a:1", HeldSince: noon}
	for name, tt := range map[string]struct {
		servers []Server
		quick   bool
	}{
		"none":         {[]Server{}, true},
		"one":          {[]Server{{Key: "tcp@a:1", Value: "weight=5&x={[,]}"}}, true},
		"several":      {[]Server{{Key: "tcp@a:1"}, held, {Key: "tcp@ä:1", Value: "ö"}}, true},
		"a quote":      {[]Server{{Key: "tcp@a:1", Value: `a"b`}, held}, false},
		"a backslash":  {[]Server{held, {Key: `a\`, Value: "x"}}, false},
		"a newline":    {[]Server{{Key: "tcp@a:1", Value: "a\nb"}}, false},
		"not UTF-8":    {[]Server{{Key: "\xff"}}, false},
		"like a field": {[]Server{{Key: `", "value": "x"}`}}, false},
	} {
		data, err := encode(Snapshot{Servers: tt.servers})
		if err != nil {
			t.Fatal(err)
		}
		_, size, err := decodeHead(data)
		if err != nil {
			t.Fatal(err)
		}
		quick, ok := scanServers(string(data[size:]))
		thorough, err := parseServers(data[size:])
		if err != nil || ok != tt.quick {
			t.Errorf("%s: quick %t, want %t; error %v", name, ok, tt.quick, err)
		}
		if ok && cmp.Diff(thorough, quick) != "" || cmp.Diff(tt.servers, thorough) != "" {
			t.Errorf("%s: quickly %+v, thoroughly %+v", name, quick, thorough)
		}
	}
}

// Whatever is in a file, decode does not panic and takes only what encode writes; and encode writes everything so that it is read alike.
func FuzzDecode(f *testing.F) {
	data, err := encode(golden)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, "key", "value", int64(1))
	f.Add([]byte("{\"holdfast\": 1, \"crc32c\": \"00000000\",\n\n"), "\xff", "\u2028<&>\"\\", int64(-1))
	f.Add(fixed([]byte("{\"holdfast\": 1, \"crc32c\": \"00000000\", \"era\": 1,\n \"zxid\": 1,\n \"servers\": null}")), "", "", int64(0))
	f.Add(fixed([]byte("{\"holdfast\": 1, \"crc32c\": \"00000000\", \"era\": \"1\",\n \"zxid\": 1,\n \"servers\": []}")), "", "", int64(0))
	f.Fuzz(func(t *testing.T, data []byte, key, value string, zxid int64) {
		for _, d := range [][]byte{data, fixed(data)} { // with the right checksum the fuzzer gets further
			s, err := decode(d)
			if err != nil {
				continue
			}
			again, err := encode(s)
			if err != nil {
				continue // a year that JSON can say and RFC 3339 in UTC cannot
			}
			if back, err := decode(again); err != nil || !equalSnapshots(back, s) {
				t.Fatalf("%q reads as %+v, and written anew as %+v, %v", d, s, back, err)
			}
		}
		want := Snapshot{Ensemble: "e", Service: "s", Zxid: zxid, AsOf: noon, SavedAt: noon, Servers: []Server{{Key: key, Value: value}}}
		data, err := encode(want)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(data) {
			t.Fatalf("not JSON: %s", data)
		}
		if got, err := decode(data); err != nil || cmp.Diff(want, got) != "" {
			t.Fatalf("%+v reads as %+v, %v", want, got, err)
		}
	})
}

// fixed is data with the right checksum, if it has room for one.
func fixed(data []byte) []byte {
	if len(data) < crcEnd {
		return data
	}
	data = bytes.Clone(data)
	copy(data[len(crcPrefix):], checksum(data[crcEnd:]))
	return data
}
