package zktest

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// Jute is ZooKeeper's serialisation: big-endian numbers, and strings, buffers and vectors preceded by their length, where -1 means null.
// https://zookeeper.apache.org/doc/current/zookeeperInternals.html; the records are in zookeeper.jute.

var errMalformed = errors.New("malformed record")

// decoder reads one record. After the first error it returns zero values, so that a caller looks at err once, at the end.
// It allocates no more than the bytes it was given can justify, whatever the lengths in them claim.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || n < 0 || n > len(d.b) {
		d.err = errMalformed
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) bool() bool {
	b := d.take(1)
	return b != nil && b[0] != 0
}

func (d *decoder) int32() int32 {
	b := d.take(4)
	if b == nil {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b)) //nolint:gosec // the bits as they are
}

func (d *decoder) int64() int64 {
	b := d.take(8)
	if b == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b)) //nolint:gosec // the bits as they are
}

// buffer returns a copy; null is nil, and an empty one is not.
func (d *decoder) buffer() []byte {
	n := d.int32()
	if n == -1 || d.err != nil {
		return nil
	}
	return append([]byte{}, d.take(int(n))...)
}

// string accepts null as well, as the empty string. What is not UTF-8 becomes what Java makes of it.
func (d *decoder) string() string {
	n := d.int32()
	if n == -1 || d.err != nil {
		return ""
	}
	s := string(d.take(int(n)))
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return s
}

// path is a string that may not be null.
func (d *decoder) path() string {
	d.notNull()
	return d.string()
}

// notNull looks at the length to come.
func (d *decoder) notNull() {
	if len(d.b) >= 4 && int32(binary.BigEndian.Uint32(d.b)) == -1 { //nolint:gosec // the bits as they are
		d.err = errMalformed
	}
}

// vector decodes with each as many elements as the record says, of which each takes at least size bytes. Less than none is none.
func (d *decoder) vector(size int, each func()) {
	n := int(d.int32())
	if n > len(d.b)/size {
		d.err = errMalformed
	}
	for ; n > 0 && d.err == nil; n-- {
		each()
	}
}

func (d *decoder) strings() []string {
	var list []string
	d.vector(4, func() { list = append(list, d.path()) })
	return list
}

// paths is a list that may not be null.
func (d *decoder) paths() []string {
	d.notNull()
	return d.strings()
}

// acls is nil where the list is null.
func (d *decoder) acls() []ACL {
	var list []ACL
	if len(d.b) >= 4 && int32(binary.BigEndian.Uint32(d.b)) != -1 { //nolint:gosec // the bits as they are
		list = []ACL{}
	}
	d.vector(12, func() { list = append(list, ACL{Perms: d.int32(), Scheme: d.string(), ID: d.string()}) })
	return list
}

// encoder appends a record to b.
type encoder struct{ b []byte }

func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) int32(v int32) { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) } //nolint:gosec // the bits as they are
func (e *encoder) int64(v int64) { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) } //nolint:gosec // the bits as they are

func (e *encoder) length(n int) { e.int32(int32(n)) } //nolint:gosec // frames are bounded far below 2 GB

func (e *encoder) buffer(v []byte) {
	if v == nil {
		e.int32(-1)
		return
	}
	e.length(len(v))
	e.b = append(e.b, v...)
}

func (e *encoder) string(v string) {
	e.length(len(v))
	e.b = append(e.b, v...)
}

func (e *encoder) strings(list []string) {
	e.length(len(list))
	for _, s := range list {
		e.string(s)
	}
}

func (e *encoder) acls(list []ACL) {
	e.length(len(list))
	for _, a := range list {
		e.int32(a.Perms)
		e.string(a.Scheme)
		e.string(a.ID)
	}
}

func (e *encoder) stat(s *Stat) {
	e.int64(s.Czxid)
	e.int64(s.Mzxid)
	e.int64(s.Ctime)
	e.int64(s.Mtime)
	e.int32(s.Version)
	e.int32(s.Cversion)
	e.int32(s.Aversion)
	e.int64(s.EphemeralOwner)
	e.int32(s.DataLength)
	e.int32(s.NumChildren)
	e.int64(s.Pzxid)
}
