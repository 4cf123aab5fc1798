package filecache

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// parseOverride returns the servers of an override; its error begins with line and column.
func parseOverride(text []byte) ([]Server, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))                    // some editors put it there
	if err := json.Unmarshal(text, new(json.RawMessage)); err != nil { // the tokens below do not see all of JSON's mistakes, nor say them as well
		at := len(text)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = int(syntax.Offset) - 1
		}
		return nil, fault{at, err.Error()}.in(text)
	}
	p := overrideParser{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	p.dec.UseNumber() // there is none that is too large
	servers, err := p.document()
	if f, ok := errors.AsType[fault](err); ok {
		return nil, f.in(text)
	}
	return servers, err
}

// fault is a mistake at an offset of the text.
type fault struct {
	offset int
	reason string
}

func (f fault) Error() string { return f.reason }

// in adds where in text a person finds the mistake.
func (f fault) in(text []byte) error {
	before := text[:max(0, min(f.offset, len(text)))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := len(bytes.Runes(before[bytes.LastIndexByte(before, '\n')+1:])) + 1
	return fmt.Errorf("%d:%d: %w", line, column, f)
}

// overrideParser goes through text, which is valid JSON, token by token, because encoding/json's own strictness knows no lines.
type overrideParser struct {
	text []byte
	dec  *json.Decoder
	at   int // where the last token begins
}

// next returns the next token: a json.Delim, string, bool, json.Number or nil.
func (p *overrideParser) next() (json.Token, error) {
	p.at = int(p.dec.InputOffset())
	for p.at < len(p.text) && bytes.IndexByte([]byte(" \t\r\n,:"), p.text[p.at]) >= 0 {
		p.at++
	}
	tok, err := p.dec.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return tok, err
}

func (p *overrideParser) fault(format string, args ...any) error {
	return fault{p.at, fmt.Sprintf(format, args...)}
}

func (p *overrideParser) document() ([]Server, error) {
	tok, err := p.next()
	if err != nil {
		return nil, err
	}
	start := p.at
	var servers []Server
	empty := false
	switch tok {
	case json.Delim('['):
		servers, err = p.servers()
	case json.Delim('{'):
		servers, empty, err = p.object()
	default:
		return nil, p.fault(`must be a list of servers, or an object with "servers"`)
	}
	p.at = start
	switch {
	case err != nil:
		return nil, err
	case empty && len(servers) > 0:
		return nil, p.fault(`"empty" is true, and yet there are servers`)
	case !empty && len(servers) == 0:
		return nil, p.fault(`no servers; if the list is meant to be empty, write {"empty": true}`)
	}
	return servers, nil
}

// object reads the outer object behind its brace.
func (p *overrideParser) object() (servers []Server, empty bool, err error) {
	err = p.fields(func(name string) error {
		switch name {
		case "servers":
			tok, err := p.next()
			if err != nil {
				return err
			}
			if tok != json.Delim('[') {
				return p.fault(`"servers" must be a list`)
			}
			servers, err = p.servers()
			return err
		case "empty":
			tok, err := p.next()
			if err != nil {
				return err
			}
			value, ok := tok.(bool)
			if !ok {
				return p.fault(`"empty" must be true or false`)
			}
			empty = value
			return nil
		case "comment":
			_, err := p.string(name)
			return err
		case "holdfast", "crc32c", "ensemble", "service", "lineage", "era", "zxid", "savedAt", "asOf":
			tok, err := p.next() // the head of a list
			if _, nested := tok.(json.Delim); nested {
				return p.fault("%q must be a plain value", name)
			}
			return err
		default:
			return p.fault(`unknown field %q; known are "servers", "empty", "comment" and what %s has`, name, listFile)
		}
	})
	return servers, empty, err
}

// servers reads the list behind its bracket.
func (p *overrideParser) servers() ([]Server, error) {
	servers := []Server{}
	seen := make(map[string]bool)
	for {
		tok, err := p.next()
		if err != nil {
			return nil, err
		}
		var s Server
		keyAt := p.at
		switch tok := tok.(type) {
		case string:
			s.Key = tok
		case json.Delim:
			if tok == ']' {
				return servers, nil
			}
			if tok != '{' {
				return nil, p.fault(`a server must be "network@address" or an object with "key"`)
			}
			if s, keyAt, err = p.server(); err != nil {
				return nil, err
			}
		default:
			return nil, p.fault(`a server must be "network@address" or an object with "key"`)
		}
		p.at = keyAt
		if err := checkKey(s.Key); err != nil {
			return nil, p.fault("%v", err)
		}
		if seen[s.Key] {
			return nil, p.fault("%q is there twice", s.Key)
		}
		seen[s.Key] = true
		servers = append(servers, s)
	}
}

// server reads one entry behind its brace.
func (p *overrideParser) server() (s Server, keyAt int, err error) {
	start, hasKey := p.at, false
	err = p.fields(func(name string) error {
		switch name {
		case "key":
			s.Key, err = p.string(name)
			keyAt, hasKey = p.at, true
			return err
		case "value":
			s.Value, err = p.string(name)
			return err
		case "keyBase64": // as the list has what is not UTF-8
			s.Key, err = p.base64(name)
			keyAt, hasKey = p.at, true
			return err
		case "valueBase64":
			s.Value, err = p.base64(name)
			return err
		case "heldSince":
			_, err := p.string(name)
			return err
		default:
			return p.fault(`unknown field %q; known are "key" and "value"`, name)
		}
	})
	if err == nil && !hasKey {
		p.at = start
		err = p.fault(`a server without "key"`)
	}
	return s, keyAt, err
}

// fields calls read for each field of an object, behind its name; read consumes the value.
func (p *overrideParser) fields(read func(name string) error) error {
	seen := make(map[string]bool)
	for {
		tok, err := p.next()
		if err != nil {
			return err
		}
		name, ok := tok.(string)
		if !ok { // the closing brace: in valid JSON nothing else can be here
			return nil
		}
		if seen[name] {
			return p.fault("field %q is there twice", name)
		}
		seen[name] = true
		if err := read(name); err != nil {
			return err
		}
	}
}

func (p *overrideParser) string(field string) (string, error) {
	tok, err := p.next()
	if err != nil {
		return "", err
	}
	s, ok := tok.(string)
	if !ok {
		return "", p.fault("%q must be a string", field)
	}
	return s, nil
}

func (p *overrideParser) base64(field string) (string, error) {
	text, err := p.string(field)
	if err != nil {
		return "", err
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", p.fault("%q: %v", field, err)
	}
	return string(raw), nil
}
