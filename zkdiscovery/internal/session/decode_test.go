package session

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var someStat = Stat{
	Czxid: 1, Mzxid: 2, Ctime: 3, Mtime: 4, Version: 5, Cversion: 6, Aversion: 7, EphemeralOwner: -8, DataLength: 9, NumChildren: 10, Pzxid: 11,
}

func appendStat(b []byte, st Stat) []byte {
	for _, v := range []int64{st.Czxid, st.Mzxid, st.Ctime, st.Mtime} {
		b = be.AppendUint64(b, uint64(v))
	}
	for _, v := range []int32{st.Version, st.Cversion, st.Aversion} {
		b = be.AppendUint32(b, uint32(v))
	}
	b = be.AppendUint64(b, uint64(st.EphemeralOwner))
	b = be.AppendUint32(be.AppendUint32(b, uint32(st.DataLength)), uint32(st.NumChildren))
	return be.AppendUint64(b, uint64(st.Pzxid))
}

func listing(names ...string) []byte { return appendStat(appendStrings(nil, names), someStat) }

func data(b string) []byte { return appendStat(appendString(nil, b), someStat) }

func TestAnswersAreDecodedAndEveryCutIsRefused(t *testing.T) {
	type value = any
	for _, tc := range []struct {
		what   string
		body   []byte
		decode func([]byte) (value, error)
		want   value
	}{
		{"a stat", appendStat(nil, someStat), func(b []byte) (value, error) { return decodeStat(b) }, someStat},
		{"data", data("weight=1"), func(b []byte) (value, error) { d, st, err := decodeData(b); return Node{Data: d, Stat: st}, err }, Node{
			Data: []byte("weight=1"), Stat: someStat,
		}},
		{"no data", appendStat([]byte{0xff, 0xff, 0xff, 0xff}, someStat), func(b []byte) (value, error) {
			d, st, err := decodeData(b)
			return Node{Data: d, Stat: st}, err
		}, Node{Stat: someStat}},
		{"names", listing("a", "", "tcp@127.0.0.1:8972"), func(b []byte) (value, error) { return decodeListing(b) }, Listing{
			Names: []string{"a", "", "tcp@127.0.0.1:8972"}, Stat: someStat,
		}},
		{"identities", appendString(appendString(appendString(appendString([]byte{0, 0, 0, 2}, "ip"), "10.0.0.1"), "digest"), ""), func(b []byte) (value, error) {
			return decodeIdentities(b)
		}, []Identity{{"ip", "10.0.0.1"}, {"digest", ""}}},
		{"no names", listing(), func(b []byte) (value, error) { return decodeListing(b) }, Listing{Names: []string{}, Stat: someStat}},
	} {
		for _, more := range []string{"", "of a later version"} {
			got, err := tc.decode(append(slices.Clip(tc.body), more...))
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", tc.what, err, diff)
			}
		}
		for n := range tc.body {
			if got, err := tc.decode(tc.body[:n:n]); !errors.Is(err, errForeign) {
				t.Errorf("%s, %d bytes of it: %+v, %v", tc.what, n, got, err)
			}
		}
	}
}

func TestLengthsThatCannotBeAreRefusedBeforeMemoryIsTaken(t *testing.T) {
	for _, head := range [][]byte{{0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff}, {0x80, 0, 0, 0}, {0, 0, 0, 2, 0xff, 0xff, 0xff, 0xf0}} {
		body := append(slices.Clone(head), make([]byte, 200)...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if ls, err := decodeListing(body); !errors.Is(err, errForeign) {
			t.Errorf("%x: %+v, %v", head, ls, err)
		}
		if ids, err := decodeIdentities(body); !errors.Is(err, errForeign) {
			t.Errorf("%x: %+v, %v", head, ids, err)
		}
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 1<<20 { // by the whole process; what is announced are gigabytes
			t.Errorf("%x: %d bytes", head, taken)
		}
	}
	if d, _, err := decodeData(append([]byte{0x7f, 0xff, 0xff, 0xff}, make([]byte, 200)...)); !errors.Is(err, errForeign) {
		t.Errorf("%d bytes, %v", len(d), err)
	}
}

// FuzzDecode: whatever a server answers, the result is an error, or what such an answer is made of.
func FuzzDecode(f *testing.F) {
	f.Add(listing("a", "bc"))
	f.Add(data("weight=1"))
	f.Add(appendStat(nil, someStat))
	f.Fuzz(func(t *testing.T, body []byte) {
		isPrefix := func(made []byte, err error) {
			if err != nil {
				if !errors.Is(err, errForeign) {
					t.Fatal(err)
				}
				return
			}
			if len(made) > len(body) || string(made) != string(body[:len(made)]) {
				t.Fatalf("%x was read as %x", body, made)
			}
		}
		st, err := decodeStat(body)
		isPrefix(appendStat(nil, st), err)
		ls, err := decodeListing(body)
		isPrefix(appendStat(appendStrings(nil, ls.Names), ls.Stat), err)
		ids, err := decodeIdentities(body)
		made := be.AppendUint32(nil, uint32(len(ids)))
		for _, id := range ids {
			made = appendString(appendString(made, id.Scheme), id.User)
		}
		isPrefix(made, err)
		d, st, err := decodeData(body)
		if d != nil || err != nil {
			isPrefix(appendStat(appendString(nil, d), st), err)
		}
	})
}

// What a list costs does not depend on how many names it has: go-zookeeper makes two allocations for each.
func TestListOfThousandsTakesAHandfulOfAllocations(t *testing.T) {
	var names []string
	for i := range 5000 {
		names = append(names, fmt.Sprintf("tcp@127.1.%d.%d:8972", i/250, i%250))
	}
	const runs = 10
	sent := welcome(4000, 5)
	for i := range runs + 1 { // AllocsPerRun has a run more
		sent = append(sent, reply(xidOwn-int32(i), 0, string(listing(names...)))...)
		sent = append(sent, reply(xidPing, 0, "")...)
	}
	k, _ := testLink(sent, 1<<20)
	must(t, skip(k, len(welcome(4000, 5))))
	pong := make([]byte, len(reply(xidPing, 0, "")))
	allocated := testing.AllocsPerRun(runs, func() {
		var ls Listing
		x := lone(opChildren2, "/app", func(_ error, body []byte) (err error) {
			ls, err = decodeListing(body)
			return err
		})
		if err := send(k, x); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(k, pong); err != nil || !x.over || !slices.Equal(ls.Names, names) || ls.Stat != someStat {
			t.Fatalf("%v, %d names, %+v", err, len(ls.Names), ls.Stat)
		}
	})
	if allocated > 12 {
		t.Errorf("%v allocations for %d names", allocated, len(names))
	}
}

func skip(r io.Reader, n int) error {
	_, err := io.CopyN(io.Discard, r, int64(n))
	return err
}

func BenchmarkDecodeListing(b *testing.B) {
	body := listing(strings.Fields(strings.Repeat("tcp@127.1.100.100:8972 ", 5000))...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeListing(body); err != nil {
			b.Fatal(err)
		}
	}
}
