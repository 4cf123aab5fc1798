package session

import (
	"bytes"
	"fmt"
)

// The bodies of the answers to reads (org.apache.zookeeper.proto). What is behind the last field is left alone, as every client of ZooKeeper's
// does. Whatever a server sends, the result is a value or errForeign.

// statSize is that of a Stat.
const statSize = 6*8 + 5*4

func cut(what string, body []byte) error {
	return fmt.Errorf("%w: %s that does not fit into %d bytes", errForeign, what, len(body))
}

// decodeStat reads an ExistsResponse.
func decodeStat(b []byte) (Stat, error) {
	if len(b) < statSize {
		return Stat{}, cut("a stat", b)
	}
	return Stat{
		Czxid: i64(b), Mzxid: i64(b[8:]), Ctime: i64(b[16:]), Mtime: i64(b[24:]),
		Version: i32(b[32:]), Cversion: i32(b[36:]), Aversion: i32(b[40:]), EphemeralOwner: i64(b[44:]),
		DataLength: i32(b[52:]), NumChildren: i32(b[56:]), Pzxid: i64(b[60:]),
	}, nil
}

func i32(b []byte) int32 { return int32(be.Uint32(b)) }
func i64(b []byte) int64 { return int64(be.Uint64(b)) }

// decodeData reads a GetDataResponse: the data, whose length is -1 when there is none, and a Stat. The data is the caller's own.
func decodeData(b []byte) ([]byte, Stat, error) {
	if len(b) < 4 {
		return nil, Stat{}, cut("data", b)
	}
	size, rest := int(i32(b)), b[4:]
	var data []byte
	if size >= 0 {
		if size > len(rest) {
			return nil, Stat{}, cut("data", b)
		}
		data, rest = bytes.Clone(rest[:size:size]), rest[size:]
	}
	st, err := decodeStat(rest)
	return data, st, err
}

// decodeListing reads a GetChildren2Response: so many names, each behind its length, and a Stat. It makes two allocations, however many names
// there are: one string, of which all names are parts, and the slice of them.
func decodeListing(b []byte) (Listing, error) {
	if len(b) < 4 {
		return Listing{}, cut("a list", b)
	}
	n := int(i32(b))
	if n < 0 || n > len(b)/4 { // a length each, at least
		return Listing{}, cut(fmt.Sprintf("a list of %d", n), b)
	}
	all := string(b)
	names := make([]string, n)
	at := 4
	for i := range names {
		if len(b)-at < 4 {
			return Listing{}, cut("a name", b)
		}
		size := int(i32(b[at:]))
		at += 4
		if size < 0 || size > len(b)-at {
			return Listing{}, cut(fmt.Sprintf("a name of %d", size), b)
		}
		names[i] = all[at : at+size]
		at += size
	}
	st, err := decodeStat(b[at:])
	return Listing{Names: names, Stat: st}, err
}

// decodeIdentities reads a WhoAmIResponse: so many schemes and users.
func decodeIdentities(b []byte) ([]Identity, error) {
	if len(b) < 4 {
		return nil, cut("a list", b)
	}
	n, rest := int(i32(b)), b[4:]
	if n < 0 || n > len(rest)/8 { // two lengths each, at least
		return nil, cut(fmt.Sprintf("a list of %d", n), b)
	}
	all := make([]Identity, n)
	for i := range all {
		for _, text := range []*string{&all[i].Scheme, &all[i].User} {
			if len(rest) < 4 {
				return nil, cut("a text", b)
			}
			size := int(i32(rest))
			if rest = rest[4:]; size < 0 || size > len(rest) {
				return nil, cut(fmt.Sprintf("a text of %d", size), b)
			}
			*text, rest = string(rest[:size]), rest[size:]
		}
	}
	return all, nil
}

const multiHeaderSize = 4 + 1 + 4

// nextOfMulti splits the body of an answer to a multiRead behind its first part. code is that part's, and body its GetDataResponse where code is 0.
// Whether it was the last is told by done, and not by the opcode, which is -1 for a part that failed, too (org.apache.zookeeper.MultiResponse).
func nextOfMulti(b []byte) (done bool, code int32, body, rest []byte, err error) {
	if len(b) < multiHeaderSize {
		return false, 0, nil, nil, cut("a part of a multiRead", b)
	}
	op, done, code, b := i32(b), b[4] != 0, i32(b[5:]), b[multiHeaderSize:]
	size := 4
	switch {
	case done:
		return true, 0, nil, b, nil
	case op == -1:
		if len(b) < size {
			return false, 0, nil, nil, cut("an error in a multiRead", b)
		}
		if code = i32(b); code == 0 {
			return false, 0, nil, nil, fmt.Errorf("%w: a part of a multiRead that failed without an error", errForeign)
		}
		return false, code, nil, b[size:], nil
	case op != opGetData || code != 0:
		return false, 0, nil, nil, fmt.Errorf("%w: a multiRead with an answer to request %d, code %d", errForeign, op, code)
	case len(b) < size:
		return false, 0, nil, nil, cut("data in a multiRead", b)
	}
	if n := int(i32(b)); n > 0 {
		size += n
	}
	if size += statSize; size > len(b) {
		return false, 0, nil, nil, cut("data in a multiRead", b)
	}
	return false, 0, b[:size], b[size:], nil
}
