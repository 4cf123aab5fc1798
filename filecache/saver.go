package filecache

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/internal/edges"
)

const (
	saveSpacing    = time.Second      // at least between two saves, but for the first and the last
	saveRetry      = time.Minute      // after a failed one
	restampSpacing = 15 * time.Minute // between two saves of the same list
)

// saver writes a wrapped discovery's lists to the file, in a goroutine of its own, so that a slow disk delays nobody.
type saver struct {
	cache  *Cache
	offers chan Snapshot // cap 1, the newest; offer sends, never closed

	// The rest belongs to the goroutine of run.
	last   Snapshot  // saved
	era    int64     // see save
	failed bool      // the last save
	edges  edges.Row // of failures and successes, as they are logged
}

func newSaver(c *Cache) *saver {
	return &saver{cache: c, offers: make(chan Snapshot, 1)}
}

// offer leaves s to be saved, in the place of one that has not been begun. It never blocks. Only one goroutine may call it.
func (s *saver) offer(snapshot Snapshot) {
	select {
	case <-s.offers:
	default:
	}
	s.offers <- snapshot
}

// run saves what is offered until ctx ends, and then what is left.
func (s *saver) run(ctx context.Context) {
	wait := time.NewTimer(0) // the next save may begin when it has fired
	defer wait.Stop()
	var todo *Snapshot
	for {
		ready := wait.C
		if todo == nil {
			ready = nil
		}
		select {
		case snapshot := <-s.offers:
			if s.failed || todo != nil || s.isNews(snapshot) {
				todo = &snapshot
			}
		case <-ready:
			if s.try(*todo) {
				todo = nil
				wait.Reset(saveSpacing)
			} else {
				wait.Reset(saveRetry)
			}
		case <-ctx.Done():
			s.finish(todo)
			return
		}
	}
}

// finish makes a last attempt.
func (s *saver) finish(todo *Snapshot) {
	select {
	case snapshot := <-s.offers:
		if todo != nil || s.isNews(snapshot) {
			todo = &snapshot
		}
	default:
	}
	if todo != nil {
		s.try(*todo)
	}
}

func (s *saver) isNews(snapshot Snapshot) bool {
	return snapshot.AsOf.Sub(s.last.AsOf) >= restampSpacing || !sameServers(snapshot.Servers, s.last.Servers)
}

// try saves the snapshot and reports the edges of success and failure.
func (s *saver) try(snapshot Snapshot) bool {
	log := s.cache.config.logger
	if changes := s.edges.Settled(time.Now()); changes > 0 {
		log.Warn("saving the list has settled", "changes", changes, "failed", s.failed)
	}
	if err := s.save(snapshot); err != nil {
		if !s.failed {
			log.Log(context.Background(), s.edge(slog.LevelWarn), "the list cannot be saved, trying on", "error", err)
		} else {
			log.Debug("the list can still not be saved", "error", err)
		}
		s.failed = true
		return false
	}
	if s.failed {
		log.Log(context.Background(), s.edge(slog.LevelInfo), "the list is saved again", "path", s.cache.Path())
	}
	s.failed, s.last = false, snapshot
	return true
}

// edge counts a change between failure and success, and returns the level at which it is to be logged: a disk that is full now and then must not fill
// the log, too.
func (s *saver) edge(level slog.Level) slog.Level {
	return s.edges.Level(level, time.Now(), s.cache.config.logger.Warn, "saving the list fails by turns, telling no more until it has settled")
}

// save writes the snapshot unless another process has saved a later one. A wrapped discovery's lists are ordered by AsOf alone, that is by
// the clock; one that has been set back would keep every list out of the file until it has caught up, so a file from the future is
// overruled by a new era.
func (s *saver) save(snapshot Snapshot) error {
	snapshot.Era = s.era
	err := s.cache.Save(snapshot)
	if !errors.Is(err, ErrNewer) {
		return err
	}
	file, loadErr := s.cache.Load()
	if loadErr != nil {
		return err
	}
	era := file.Era
	if file.AsOf.After(time.Now()) {
		era++
	}
	if era == s.era {
		return nil // later than ours: fine
	}
	s.era, snapshot.Era = era, era
	if err := s.cache.Save(snapshot); !errors.Is(err, ErrNewer) {
		return err
	}
	return nil
}
