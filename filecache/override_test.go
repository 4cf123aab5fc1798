package filecache

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestOverrideIsWhatAPersonWouldWrite(t *testing.T) {
	one := Server{Key: "tcp@10.0.0.1:8972"}
	weighted := Server{Key: "tcp@10.0.0.2:8972", Value: "weight=5"}
	for _, tt := range []struct {
		rule, text string
		want       []Server
	}{
		{"a list of addresses", `["tcp@10.0.0.1:8972"]`, []Server{one}},
		{"with metadata", `[{"key": "tcp@10.0.0.2:8972", "value": "weight=5"}]`, []Server{weighted}},
		{"mixed, in its order", `[{"key":"tcp@10.0.0.2:8972","value":"weight=5"}, "tcp@10.0.0.1:8972"]`, []Server{weighted, one}},
		{"as an object", `{"servers": [{"key": "tcp@10.0.0.1:8972"}]}`, []Server{one}},
		{"with a comment", `{"comment": "INC-4711", "servers": ["tcp@10.0.0.1:8972"], "empty": false}`, []Server{one}},
		{"empty on purpose", `{"empty": true}`, []Server{}},
		{"empty on purpose, and seen to be", `{"empty": true, "servers": []}`, []Server{}},
		{"with a byte order mark", "\ufeff" + `["tcp@10.0.0.1:8972"]` + "\r\n", []Server{one}},
		{"other networks", `["unix@/tmp/a.sock", "memu@x", "inprocess@y", "quic@[::1]:1", "http@example.com:80"]`, []Server{
			{Key: "unix@/tmp/a.sock"}, {Key: "memu@x"}, {Key: "inprocess@y"}, {Key: "quic@[::1]:1"}, {Key: "http@example.com:80"},
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := parseOverride([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got == nil {
				got = []Server{}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBadOverrideIsRefusedWithPlaceAndReason(t *testing.T) {
	for _, tt := range []struct{ rule, text, want string }{
		{"empty file", "", "1:1: unexpected end of JSON input"},
		{"half written", "[\n \"tcp@10.0.0.1:8972\",\n", "2:22: unexpected end of JSON input"},
		{"a comma too many", "[\n \"tcp@a:1\",\n]", "3:1: invalid character ']' looking for beginning of value"},
		{"more than one document", `["tcp@a:1"] []`, "1:13: invalid character '[' after top-level value"},
		{"a comment as in Go", "// INC-4711\n[]", "1:1: invalid character '/' looking for beginning of value"},
		{"another type", `"tcp@a:1"`, `1:1: must be a list of servers, or an object with "servers"`},
		{"null", `null`, `1:1: must be a list of servers, or an object with "servers"`},
		{"an empty list", "\n []", `2:2: no servers; if the list is meant to be empty, write {"empty": true}`},
		{"an empty object", `{}`, `1:1: no servers; if the list is meant to be empty, write {"empty": true}`},
		{"empty and not", `{"empty": true, "servers": ["tcp@a:1"]}`, `1:1: "empty" is true, and yet there are servers`},
		{"empty as a word", `{"empty": "yes"}`, `1:11: "empty" must be true or false`},
		{"servers as an object", `{"servers": {"tcp@a:1": ""}}`, `1:13: "servers" must be a list`},
		{"comment as a list", `{"comment": []}`, `1:13: "comment" must be a string`},
		{"an unknown field", "{\n  \"server\": []}", `2:3: unknown field "server"; known are "servers", "empty", "comment" and what list.json has`},
		{"a field twice", `{"servers": ["tcp@a:1"], "servers": []}`, `1:26: field "servers" is there twice`},
		{"a number as a server", `["tcp@a:1", 7]`, `1:13: a server must be "network@address" or an object with "key"`},
		{"a list as a server", `[["tcp@a:1"]]`, `1:2: a server must be "network@address" or an object with "key"`},
		{"a server without key", `[{"value": "weight=5"}]`, `1:2: a server without "key"`},
		{"an unknown field of a server", `[{"key": "tcp@a:1", "weight": 5}]`, `1:21: unknown field "weight"; known are "key" and "value"`},
		{"a value that is no string", `[{"key": "tcp@a:1", "value": 5}]`, `1:30: "value" must be a string`},
		{"a key that is no string", `[{"key": null}]`, `1:10: "key" must be a string`},
		{"a field of a server twice", `[{"key": "tcp@a:1", "key": "tcp@b:1"}]`, `1:21: field "key" is there twice`},
		{"a server twice", "[\"tcp@a:1\",\n \"tcp@b:1\",\n \"tcp@a:1\"]", `3:2: "tcp@a:1" is there twice`},
		{"a server twice in two forms", `["tcp@a:1", {"key": "tcp@a:1"}]`, `1:21: "tcp@a:1" is there twice`},
		{"columns are characters", `[{"value": "ä", "key": "ö"}]`, `1:24: "ö": no network; a key is network@address, as in "tcp@ö"`},
		{"no network", `["10.0.0.1:8972"]`, `1:2: "10.0.0.1:8972": no network; a key is network@address, as in "tcp@10.0.0.1:8972"`},
		{"an empty network", `["@10.0.0.1:8972"]`, `1:2: "@10.0.0.1:8972": the network before the @ is missing`},
		{"an empty address", `["unix@"]`, `1:2: "unix@": the address behind the @ is missing`},
		{"no port", `["tcp@10.0.0.1"]`, `1:2: "tcp@10.0.0.1": the address must be host:port: missing port in address`},
		{"no host", `["tcp@:8972"]`, `1:2: "tcp@:8972": the host is missing`},
		{"bare IPv6", `["tcp@::1:8972"]`, `1:2: "tcp@::1:8972": the address must be host:port: too many colons in address`},
		{"a port out of range", `["tcp@a:65536"]`, `1:2: "tcp@a:65536": port "65536": must be a number from 1 to 65535`},
		{"port 0", `["tcp@a:0"]`, `1:2: "tcp@a:0": port "0": must be a number from 1 to 65535`},
		{"a port by name", `["tcp@a:http"]`, `1:2: "tcp@a:http": port "http": must be a number from 1 to 65535`},
		{"white space", `["tcp@a:1 "]`, `1:2: "tcp@a:1 ": a key has no white space`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s, err := parseOverride([]byte(tt.text))
			if err == nil {
				t.Fatalf("accepted as %+v", s)
			}
			if err.Error() != tt.want {
				t.Errorf("error %q\n want %q", err, tt.want)
			}
		})
	}
}

func TestLoadOverrideNamesFileAndPlace(t *testing.T) {
	c := mustOpen(t, t.TempDir())
	_, err := c.LoadOverride()
	wantError(t, err, errNone)

	write(t, c.OverridePath(), "[\n \"nonsense\"\n]")
	_, err = c.LoadOverride()
	wantError(t, err, ErrOverride)
	if errors.Is(err, errNone) || !strings.Contains(err.Error(), c.OverridePath()+":2:2: ") {
		t.Errorf("error %q, want one that says where", err)
	}

	write(t, c.OverridePath(), `["tcp@10.0.0.1:8972"]`)
	s, err := c.LoadOverride()
	if err != nil || !s.Override || s.Service != "/prod/rpcx/Arith" || s.AsOf.IsZero() || len(s.Servers) != 1 {
		t.Errorf("override %+v, %v", s, err)
	}

	if err := os.Truncate(c.OverridePath(), maxFileSize+1); err != nil {
		t.Fatal(err)
	}
	_, err = c.LoadOverride()
	wantError(t, err, ErrOverride)
	if !strings.Contains(err.Error(), "limit 67108864") {
		t.Errorf("error %q, want one that says how much is too much", err)
	}

	if err := errors.Join(os.Remove(c.OverridePath()), os.Mkdir(c.OverridePath(), 0o700)); err != nil {
		t.Fatal(err)
	}
	_, err = c.LoadOverride()
	wantError(t, err, ErrOverride)
}

// Whatever is in the file, the parser does not panic, says where, and lets through only lists that rpcx can dial.
func FuzzOverride(f *testing.F) {
	for _, s := range []string{
		`["tcp@10.0.0.1:8972"]`, `{"servers": [{"key": "tcp@a:1", "value": "weight=5"}], "empty": false, "comment": "x"}`,
		`{"empty": true}`, `[`, `{"servers": null}`, "\ufeff[]", `[{"key": {"key": []}}]`, "[\"\xff@\xff\"]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		servers, err := parseOverride(text)
		if err != nil {
			place, reason, ok := strings.Cut(err.Error(), ": ")
			if line, column, both := strings.Cut(place, ":"); !ok || reason == "" || !both || line < "1" || column < "1" {
				t.Fatalf("%q: error %q does not say where", text, err)
			}
			return
		}
		seen := map[string]bool{}
		for _, s := range servers {
			if checkKey(s.Key) != nil || seen[s.Key] || !utf8.ValidString(s.Key) {
				t.Fatalf("%q: lets %q through", text, s.Key)
			}
			seen[s.Key] = true
		}
		if len(servers) == 0 && !strings.Contains(string(text), "true") {
			t.Fatalf("%q: is an empty list without saying so", text)
		}
	})
}
