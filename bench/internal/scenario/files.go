package scenario

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// untilSaved waits until a follower's file is there. CacheDiscovery writes it when its list is asked for or a change arrives, so it is asked.
func (e *Env) untilSaved(ctx context.Context, f *follower, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		if _, err := f.Digest(ctx); err != nil {
			return err
		}
		// Ours is <ensemble>/<base>/<service>/list.json.
		for _, pattern := range []string{"*.json", "*/*/*/list.json"} {
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				return err
			}
			for _, name := range files {
				if st, err := os.Stat(name); err == nil && st.Size() > 0 {
					return nil
				}
			}
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// pathName makes a name fit for a znode.
func pathName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' || r == '/' {
			return '-'
		}
		return r
	}, s)
}
