package harness

import (
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// File is what a new process would find in a service's cache file. It is for scenarios in a bubble.
func (w *World) File(service string) (filecache.Snapshot, error) {
	w.Helper()
	c, err := filecache.Open(w.Dir, w.Servers()[0], w.Service(service))
	Must(w, err)
	defer c.Close()
	return c.Load()
}

// Saved is the list in a service's cache file.
func (w *World) Saved(service string) map[string]string {
	w.Helper()
	s, err := w.File(service)
	Must(w, err)
	return FileList(s)
}

// FileList is the list of a cache file, as Listed is that of a discovery.
func FileList(s filecache.Snapshot) map[string]string {
	m := make(map[string]string)
	for _, server := range s.Servers {
		m[server.Key] = server.Value
	}
	return m
}

// HeldInFile are the instances that are held, and since when, as a service's cache file has it.
func (w *World) HeldInFile(service string) map[string]time.Time {
	w.Helper()
	s, err := w.File(service)
	Must(w, err)
	held := make(map[string]time.Time)
	for _, server := range s.Servers {
		if !server.HeldSince.IsZero() {
			held[server.Key] = server.HeldSince
		}
	}
	return held
}

// LeaveFile runs a discovery until it has written its cache file.
func (w *World) LeaveFile(service string) {
	w.Helper()
	d, err := zkdiscovery.New(w.Base, service, w.Servers(), w.Common()...)
	Must(w, err)
	w.Equal(d, service)
	d.Close()
}
