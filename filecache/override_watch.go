package filecache

import (
	"hash/crc32"
	"time"
)

// overrideWatch is one place of an override, as a watch knows it.
type overrideWatch struct {
	path string
	good *Snapshot // the last good content while the file is there; nil if there was none. It does not change.
	news bool      // good was loaded by somebody who is to be told it all the same, if it is there

	looked  looked
	read    bool   // the text with this sum has been judged
	sum     uint32 // of the text, or of the error that there was in its place
	missing bool   // it was not there at the last look, but at the one before
	refusal error  // of content that was read at this look, and is bad
}

// look reads the file if it has changed. It asks for another look soon when the file seems to be gone.
func (o *overrideWatch) look(c *Cache, now time.Time) (again bool) {
	o.refusal = nil
	info, err := c.fsys.stat(o.path)
	if absent(err) {
		if o.good != nil && !o.missing {
			o.missing, o.looked = true, looked{}
			return true
		}
		*o = overrideWatch{path: o.path}
		return false
	}
	o.missing = false
	if err == nil && o.looked.unchanged(info, now) {
		return false
	}
	text, err := c.readOverride(o.path)
	if absent(err) {
		return true // gone in between
	}
	if err != nil {
		text = []byte(err.Error())
		o.looked = looked{} // what keeps it from being read may go without a trace: a mode, a mount
	}
	if sum := crc32.ChecksumIEEE(text); !o.read || sum != o.sum {
		o.read, o.sum = true, sum
		o.judge(c, text, err)
	}
	return false
}

// judge takes new content. A bad one changes nothing.
func (o *overrideWatch) judge(c *Cache, text []byte, err error) {
	var s Snapshot
	if err == nil {
		s, err = c.judgeOverride(o.path, text)
	}
	switch {
	case err != nil:
		o.refusal = err
	case o.news || o.good == nil || !sameList(o.good.Servers, s.Servers):
		o.good, o.news = &s, false
	}
}
