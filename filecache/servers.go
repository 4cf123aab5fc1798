package filecache

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// decodeServers reads what follows the head. The checksum has shown that encode wrote it, so nearly always it is in encode's own form, which
// is read ten times as fast as JSON in general: a start with the file waits for this.
func decodeServers(body []byte) ([]Server, error) {
	if servers, ok := scanServers(string(body)); ok {
		return servers, nil
	}
	return parseServers(body)
}

// scanServers reads encode's form if no string in it needed an escape.
func scanServers(text string) (servers []Server, ok bool) {
	text, ok = strings.CutPrefix(text, ` "servers": [`)
	if !ok {
		return nil, false
	}
	const shortest = `{"key": "", "value": ""}`
	servers = make([]Server, 0, min(strings.Count(text, "\n"), len(text)/len(shortest)))
	for begin := "\n  {"; ; begin = ",\n  {" {
		rest, more := strings.CutPrefix(text, begin)
		if !more {
			return servers, text == "\n ]\n}\n" || text == "]\n}\n" && len(servers) == 0
		}
		var s Server
		if s.Key, rest, ok = scanString(rest, `"key": "`); !ok {
			return nil, false
		}
		if s.Value, rest, ok = scanString(rest, `, "value": "`); !ok {
			return nil, false
		}
		if since, after, held := scanString(rest, `, "heldSince": "`); held {
			t, err := time.Parse(time.RFC3339Nano, since)
			if err != nil {
				return nil, false
			}
			s.HeldSince, rest = t, after
		}
		if text, ok = strings.CutPrefix(rest, "}"); !ok {
			return nil, false
		}
		servers = append(servers, s)
	}
}

// scanString reads what stands between before and the next quote, unless something in it is escaped.
func scanString(text, before string) (s, rest string, ok bool) {
	text, ok = strings.CutPrefix(text, before)
	if !ok {
		return "", "", false
	}
	s, rest, ok = strings.Cut(text, `"`)
	return s, rest, ok && strings.IndexByte(s, '\\') < 0
}

// parseServers reads any JSON.
func parseServers(body []byte) ([]Server, error) {
	var doc struct {
		Servers []struct {
			Key         string    `json:"key"`
			KeyBase64   []byte    `json:"keyBase64"`
			Value       string    `json:"value"`
			ValueBase64 []byte    `json:"valueBase64"`
			HeldSince   time.Time `json:"heldSince"`
		} `json:"servers"`
	}
	text := make([]byte, 0, 1+len(body))
	text = append(append(text, '{'), body...)
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if doc.Servers == nil {
		return nil, errors.New("no servers")
	}
	servers := make([]Server, len(doc.Servers))
	for i, s := range doc.Servers {
		servers[i] = Server{Key: s.Key, Value: s.Value, HeldSince: s.HeldSince}
		if s.KeyBase64 != nil {
			servers[i].Key = string(s.KeyBase64)
		}
		if s.ValueBase64 != nil {
			servers[i].Value = string(s.ValueBase64)
		}
	}
	return servers, nil
}
