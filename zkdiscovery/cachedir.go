package zkdiscovery

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
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

// cacheDirectory is dir, or the default for "". It looks at the disk.
func cacheDirectory(dir string, log *slog.Logger) (string, error) {
	if dir != "" {
		return dir, nil
	}
	home, err := os.UserCacheDir()
	if err == nil {
		home = filepath.Join(home, "holdfast")
		if err = usable(home); err == nil {
			return home, nil
		}
	}
	dir, tempErr := privateTempDir()
	if tempErr != nil {
		return "", errors.Join(err, tempErr)
	}
	log.Warn("the user's cache directory cannot be used, the cache files are in a temporary one: see WithCacheDir", "dir", dir, "err", err)
	return dir, nil
}

// onceFound is find, which is not called again once it has found something. One call at a time looks.
func onceFound(find func() (string, error)) func() (string, error) {
	var mu sync.Mutex
	var found string
	return func() (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if found != "" {
			return found, nil
		}
		dir, err := find()
		if err == nil {
			found = dir
		}
		return dir, err
	}
}

// usable says why a cache directory is of no use: it can be neither written nor read. One that has files in it, and was made read-only since, is.
func usable(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = writable(dir)
	}
	if err == nil {
		return nil
	}
	if entries, readErr := os.ReadDir(dir); readErr == nil && len(entries) > 0 {
		return nil
	}
	return err
}

func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".probe")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// privateTempDir is a directory below the temporary one, where anybody may make one: it is made here, and refused when it is somebody else's, who
// could so direct our calls.
func privateTempDir() (string, error) {
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
