package zkdiscovery

import (
	"log/slog"

	"github.com/holdfast-go/holdfast/filecache"
)

// keep starts the keeper of the service's cache file: it reads, writes and watches the file, off the delivery path.
func (sv *service) keep() *filecache.Keeper {
	log := slog.New(oneOfMany{sv.log.Handler(), sv.root})
	return filecache.Keep(func() (*filecache.Cache, error) { return sv.openCache(log) }, filecache.KeeperConfig{
		Logger: log, Dir: sv.root.cfg.cacheDir,
		Saved: func(s filecache.Saved) {
			if o := sv.root.cfg.observer.Saved; o != nil {
				sv.root.cfg.observe(func(*Observer) {
					o(Saved{Service: sv.path, Instances: s.Servers, Took: s.Took, Err: s.Err})
				})
			}
		},
	})
}

// openCache runs on the keeper's goroutine: everything in it looks at the disk, which may hang.
func (sv *service) openCache(log *slog.Logger) (*filecache.Cache, error) {
	cfg := sv.root.cfg
	dir, err := sv.root.cacheDir()
	if err != nil {
		return nil, err
	}
	opts := []filecache.Option{
		filecache.WithMaxAge(cfg.maxCacheAge), filecache.WithLogger(log), filecache.WithOverrideDir(cfg.overrideDir),
	}
	if cfg.ensembleName != "" {
		opts = append(opts, filecache.WithNamedEnsemble())
	}
	if cfg.pollFiles {
		opts = append(opts, filecache.WithPollingOnly())
	}
	return filecache.Open(dir, cfg.ensemble, sv.path, opts...)
}

// snapshotOf is what the file is to have of a list.
func (sv *service) snapshotOf(w *whole) filecache.Snapshot {
	s := filecache.Snapshot{Lineage: w.lineage, Era: w.era, Zxid: w.zxid, AsOf: w.asOf, Servers: make([]filecache.Server, len(w.pairs))}
	for i, p := range w.pairs {
		s.Servers[i] = filecache.Server{Key: p.Key, Value: p.Value, HeldSince: w.heldSince[p.Key]}
	}
	return s
}
