//go:build unix

package zkdiscovery

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ours says why a directory is not this user's alone.
func ours(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return errors.New("is not a directory")
	case !ok || int64(st.Uid) != int64(os.Geteuid()):
		return errors.New("belongs to another user")
	case info.Mode().Perm()&0o022 != 0:
		return errors.New("may be written by others")
	}
	return nil
}

// keptApart says why the users of a directory may replace each other's files in it.
func keptApart(info fs.FileInfo) error {
	if info.IsDir() && info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return errors.New("may be written by others and has no sticky bit")
	}
	return nil
}
