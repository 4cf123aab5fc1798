package filecache

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
	"unicode/utf8"
)

// The file is one JSON document:
//
//	{"holdfast": 1, "crc32c": "89abcdef", "ensemble": "zk1:2181/prod", "service": "/prod/rpcx/Arith",
//	 "lineage": "…", "era": 0, "zxid": 42, "savedAt": "2026-01-02T15:04:05Z", "asOf": "2026-01-02T15:04:05Z",
//	 "servers": [
//	  {"key": "tcp@10.0.0.1:8972", "value": "weight=5"},
//	  {"key": "tcp@10.0.0.2:8972", "value": "", "heldSince": "2026-01-02T15:00:00Z"}
//	 ]
//	}
//
// The first two lines are the head: they tell whose the file is and how late, without the servers. The checksum covers every byte behind
// its own digits, so the rest of the first line too. Every version begins with `{"holdfast": <version>,`; a reader judges the rest only
// if it knows the version. A key or value that is not UTF-8 stands base64-encoded in "keyBase64" or "valueBase64" instead.
const (
	formatVersion = 1
	maxFileSize   = 64 << 20
	headLines     = 2
	maxHead       = 128 << 10 // room for the longest names that Open and Save take, every byte escaped

	versionPrefix = `{"holdfast": `
	crcPrefix     = versionPrefix + `1, "crc32c": "`
	crcEnd        = len(crcPrefix) + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is the first two lines.
type head struct {
	Version  int       `json:"holdfast"`
	Ensemble string    `json:"ensemble"`
	Service  string    `json:"service"`
	Lineage  string    `json:"lineage"`
	Era      int64     `json:"era"`
	Zxid     int64     `json:"zxid"`
	SavedAt  time.Time `json:"savedAt"`
	AsOf     time.Time `json:"asOf"`
}

func (h head) stamp() stamp {
	return stamp{lineage: h.Lineage, era: h.Era, zxid: h.Zxid, asOf: h.AsOf}
}

// encode returns the file for s. It fails only for a time that RFC 3339 cannot write.
func encode(s Snapshot) ([]byte, error) {
	for _, t := range []time.Time{s.SavedAt, s.AsOf} {
		if err := writable(t); err != nil {
			return nil, err
		}
	}
	b := make([]byte, 0, 512+len(s.Servers)*96)
	b = append(b, crcPrefix+`00000000", "ensemble": `...)
	b = appendString(b, s.Ensemble)
	b = append(b, `, "service": `...)
	b = appendString(b, s.Service)
	b = append(b, ",\n \"lineage\": "...)
	b = appendString(b, s.Lineage)
	b = append(b, `, "era": `...)
	b = strconv.AppendInt(b, s.Era, 10)
	b = append(b, `, "zxid": `...)
	b = strconv.AppendInt(b, s.Zxid, 10)
	b = append(b, `, "savedAt": `...)
	b = appendTime(b, s.SavedAt)
	b = append(b, `, "asOf": `...)
	b = appendTime(b, s.AsOf)
	b = append(b, ",\n \"servers\": ["...)
	for i, server := range s.Servers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n  {"...)
		b = appendField(b, "key", server.Key)
		b = append(b, ", "...)
		b = appendField(b, "value", server.Value)
		if !server.HeldSince.IsZero() {
			if err := writable(server.HeldSince); err != nil {
				return nil, err
			}
			b = append(b, `, "heldSince": `...)
			b = appendTime(b, server.HeldSince)
		}
		b = append(b, '}')
	}
	if len(s.Servers) > 0 {
		b = append(b, "\n "...)
	}
	b = append(b, "]\n}\n"...)
	copy(b[len(crcPrefix):], checksum(b[crcEnd:]))
	return b, nil
}

func writable(t time.Time) error {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return fmt.Errorf("time %v: the year is not within 0 and 9999", t)
	}
	return nil
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	if utf8.ValidString(value) {
		b = append(b, `": `...)
		return appendString(b, value)
	}
	b = append(b, `Base64": "`...)
	b = base64.StdEncoding.AppendEncode(b, []byte(value))
	return append(b, '"')
}

// appendString appends s as JSON, with "&" and its like as they are: metadata is made of them, and a person should be able to read it.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if ch := s[i]; ch < ' ' || ch > '~' || ch == '"' || ch == '\\' {
			var buf bytes.Buffer
			e := json.NewEncoder(&buf)
			e.SetEscapeHTML(false)
			_ = e.Encode(s) // a string into memory: cannot fail
			return append(b, bytes.TrimSuffix(buf.Bytes(), []byte{'\n'})...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// decodeHead reads the head from the beginning of a file, whether or not the rest is there or sound. Its error is ErrVersion or ErrCorrupt.
func decodeHead(data []byte) (h head, size int, err error) {
	rest, ok := bytes.CutPrefix(data, []byte(versionPrefix))
	digits, _, comma := bytes.Cut(rest, []byte{','})
	version, err := strconv.Atoi(string(digits[:min(len(digits), 20)]))
	switch {
	case !ok || !comma || err != nil || version < 1:
		return head{}, 0, fmt.Errorf("%w: it does not begin as a snapshot does", ErrCorrupt)
	case version > formatVersion:
		return head{}, 0, fmt.Errorf("%w: version %d, this library knows up to %d", ErrVersion, version, formatVersion)
	}
	first := bytes.IndexByte(data, '\n')
	second := bytes.IndexByte(data[first+1:], '\n')
	if first < 0 || second < 0 {
		return head{}, 0, fmt.Errorf("%w: the head is cut", ErrCorrupt)
	}
	size = first + 1 + second + 1
	text, ok := bytes.CutSuffix(data[:size], []byte(",\n"))
	if !ok {
		return head{}, 0, fmt.Errorf("%w: the head does not end as it should", ErrCorrupt)
	}
	if err := json.Unmarshal(append(bytes.Clone(text), '}'), &h); err != nil {
		return head{}, 0, fmt.Errorf("%w: head: %w", ErrCorrupt, err)
	}
	return h, size, nil
}

// checksum is the CRC-32C of text in eight hexadecimal digits.
func checksum(text []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) }

// verify reports whether data is a file as encode made it.
func verify(data []byte) error {
	if len(data) < crcEnd || string(data[:len(crcPrefix)]) != crcPrefix {
		return fmt.Errorf("%w: no checksum", ErrCorrupt)
	}
	want := string(data[len(crcPrefix):crcEnd])
	if got := checksum(data[crcEnd:]); got != want {
		return fmt.Errorf("%w: checksum %s, the file says %s (if it was edited: to decide the list by hand, write %s beside it)",
			ErrCorrupt, got, want, overrideFile)
	}
	return nil
}

// decode is encode's inverse. Its error is ErrVersion or ErrCorrupt.
func decode(data []byte) (Snapshot, error) {
	h, size, err := decodeHead(data)
	if err != nil {
		return Snapshot{}, err
	}
	if err := verify(data); err != nil {
		return Snapshot{}, err
	}
	servers, err := decodeServers(data[size:])
	if err != nil {
		return Snapshot{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return Snapshot{
		Ensemble: h.Ensemble, Service: h.Service, Lineage: h.Lineage, Era: h.Era, Zxid: h.Zxid,
		SavedAt: h.SavedAt, AsOf: h.AsOf, Servers: servers,
	}, nil
}
