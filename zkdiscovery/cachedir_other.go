//go:build !unix

package zkdiscovery

import (
	"errors"
	"io/fs"
)

// ours says why a directory is not this user's alone, as far as can be told here: on Windows the temporary directory is the user's own.
func ours(info fs.FileInfo) error {
	if !info.IsDir() {
		return errors.New("is not a directory")
	}
	return nil
}

// keptApart has nothing to say where there is no sticky bit.
func keptApart(fs.FileInfo) error { return nil }
