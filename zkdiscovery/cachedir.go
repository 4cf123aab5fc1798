package zkdiscovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// isFile reports whether path is known to be something else than a directory. A disk that does not answer soon says nothing, and keeps the look
// at it until it does.
func isFile(path string) bool {
	found := make(chan bool, 1)
	go func() {
		info, err := os.Stat(path)
		found <- err == nil && !info.IsDir()
	}()
	t := time.NewTimer(fileWait)
	defer t.Stop()
	select {
	case is := <-found:
		return is
	case <-t.C:
		return false
	}
}

// defaultCacheDir is "holdfast" in the user's cache directory. Where there is none, as in a container without HOME, it is a directory below the
// temporary one, where anybody may make one: it is made here, and refused when it is somebody else's, who could so direct our calls.
func defaultCacheDir() (string, error) {
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "holdfast"), nil
	}
	dir := filepath.Join(os.TempDir(), "holdfast-"+strconv.Itoa(os.Geteuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	for _, check := range []struct {
		path string
		rule func(fs.FileInfo) error
	}{{dir, ours}, {filepath.Dir(dir), keptApart}} {
		info, err := os.Lstat(check.path)
		if err == nil {
			err = check.rule(info)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", check.path, err)
		}
	}
	return dir, nil
}
