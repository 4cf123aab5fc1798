package filecache

import (
	"io/fs"
	"os"
	"time"
)

// coarsest is the coarsest clock of a file system, vfat's, and a little more: of two changes that are closer, the second may leave no trace in the
// file's size, time and inode.
const coarsest = 3 * time.Second

// looked remembers what a file was like when it was read last, so that one which has not changed is not read again.
type looked struct {
	info  fs.FileInfo
	since time.Time // when info was first seen
	sure  bool      // read once more, so long after since that a change would show
}

// unchanged reports whether the file needs not be read. If it returns false the caller reads it.
func (l *looked) unchanged(info fs.FileInfo, now time.Time) bool {
	same := l.info != nil && os.SameFile(l.info, info) && l.info.Size() == info.Size() && l.info.ModTime().Equal(info.ModTime())
	if !same {
		*l = looked{info: info, since: now}
		return false
	}
	was := l.sure
	l.sure = now.Sub(l.since) >= coarsest
	return was
}
