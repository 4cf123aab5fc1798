package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/filecache"
	"github.com/spf13/cobra"
)

func (a *app) file() *cobra.Command {
	c := &cobra.Command{
		Use: "file", Short: "Look at a service's cache file", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	show := &cobra.Command{
		Use: "show", Short: "Show the list that a program would begin with", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.showFile() },
	}
	verify := &cobra.Command{
		Use: "verify", Short: "Tell whether the files can be used: the list, the one before it, and the override", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.verifyFile() },
	}
	diff := &cobra.Command{
		Use: "diff", Short: "Compare the file with ZooKeeper", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.with(c.Context(), a.diffFile) },
	}
	for _, sub := range []*cobra.Command{show, verify, diff} {
		a.needFile(sub)
		c.AddCommand(sub)
	}
	return c
}

// needFile adds the flags that say which file is meant.
func (a *app) needFile(c *cobra.Command) {
	a.needService(c)
	c.Flags().StringVar(&a.cacheDir, "cache-dir", "", "`directory` of the cache files (default: holdfast in the user's cache directory)")
	c.Flags().StringVar(&a.ensemble, "ensemble", "", "`name` of the ensemble, where the programs are given one (WithEnsembleName)")
}

// place is where the files of the service are.
type place struct {
	dir   string           // of every ensemble's files
	cache *filecache.Cache // to read only
	files map[string]string
	make  func() error // makes the directories that are missing
}

// Of the files of a place.
const (
	fileList     = "list"
	filePrevious = "previous"
	fileOverride = "override"
)

// The names that the library gives to the first two.
const (
	listFile     = "list.json"
	previousFile = "prev.json"
)

// placeOf finds the files.
func (a *app) placeOf() (*place, error) {
	dir := a.cacheDir
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fail(exitUsage, "--cache-dir is needed: %w", err)
		}
		dir = filepath.Join(user, "holdfast")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fail(exitUsage, "--cache-dir: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fail(exitNotFound, "there is no directory %s: see --cache-dir", dir)
	}
	addrs, chroot, _, err := a.paths()
	if err != nil {
		return nil, err
	}
	path, err := a.servicePath()
	if err != nil {
		return nil, err
	}
	ensemble := a.ensemble
	if ensemble == "" {
		ensemble = strings.Join(slices.Compact(slices.Sorted(slices.Values(addrs))), ",") + chroot
	}
	opts := []filecache.Option{filecache.WithLogger(slog.New(slog.NewTextHandler(a.diag, &slog.HandlerOptions{Level: slog.LevelWarn})))}
	if a.ensemble != "" {
		opts = append(opts, filecache.WithNamedEnsemble())
	}
	open := func(opts ...filecache.Option) (*filecache.Cache, error) {
		return filecache.Open(dir, ensemble, path, opts...)
	}
	p := &place{dir: dir, make: func() error {
		_, err := open(opts...)
		return err
	}}
	if p.cache, err = open(append(opts, filecache.WithReadOnly())...); err != nil {
		return nil, err
	}
	p.files = map[string]string{
		fileList: p.cache.Path(), filePrevious: filepath.Join(filepath.Dir(p.cache.Path()), previousFile), fileOverride: p.cache.OverridePath(),
	}
	return p, nil
}

// look reads one of the files as the library would. A damaged one stays where it is.
func (p *place) look(which string) (filecache.Snapshot, error) {
	text, err := os.ReadFile(p.files[which])
	if err != nil {
		return filecache.Snapshot{}, err
	}
	return p.cache.Judge(p.files[which], text)
}

// kept reports whether a program has kept a list in a directory, which is a service's.
func kept(dir string) bool {
	return slices.ContainsFunc([]string{listFile, previousFile}, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	})
}

// elsewhere are the directories of all ensembles in which programs have kept a list of the service.
func (p *place) elsewhere() (homes []string) {
	rest, _ := filepath.Rel(p.dir, filepath.Dir(p.files[fileList])) // it is below
	_, service, _ := strings.Cut(filepath.ToSlash(rest), "/")
	entries, _ := os.ReadDir(p.dir) // what cannot be read is not named
	for _, e := range entries {
		if home := filepath.Join(p.dir, e.Name()); kept(filepath.Join(home, service)) {
			homes = append(homes, cell(home))
		}
	}
	return homes
}

// newest is what a program would begin with: the override, the list, or the one before.
func (p *place) newest(kinds ...string) (which string, s filecache.Snapshot, err error) {
	var errs []error
	for _, which := range kinds {
		s, err := p.look(which)
		if err == nil {
			return which, s, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return "", s, errors.Join(errs...)
	}
	return "", s, fail(exitNotFound, "there is no file: %s", p.files[fileList])
}

type server struct {
	Key       string     `json:"key"`
	Metadata  string     `json:"metadata"`
	HeldSince *time.Time `json:"heldSince,omitempty"`
}

type shownFile struct {
	File    string    `json:"file"`
	Kind    string    `json:"kind"`
	Service string    `json:"service"`
	Era     int64     `json:"era"`
	Zxid    string    `json:"zxid"`
	SavedAt time.Time `json:"savedAt"`
	AsOf    time.Time `json:"asOf"`
	Servers []server  `json:"servers"`
}

func (a *app) showFile() error {
	p, err := a.placeOf()
	if err != nil {
		return err
	}
	which, s, err := p.newest(fileOverride, fileList, filePrevious)
	if err != nil {
		return err
	}
	f := shownFile{
		File: p.files[which], Kind: which, Service: s.Service, Era: s.Era, Zxid: fmt.Sprintf("%#x", s.Zxid), SavedAt: s.SavedAt.UTC(),
		AsOf: s.AsOf.UTC(), Servers: serversOf(s),
	}
	return a.result(f, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s of %s, confirmed %s ago\n%s\n", f.Kind, cell(f.Service), age(time.Since(f.AsOf)), cell(f.File)) // as in table
		var rows [][]string
		for _, sv := range f.Servers {
			held := ""
			if sv.HeldSince != nil {
				held = "held for " + age(time.Since(*sv.HeldSince))
			}
			rows = append(rows, []string{cell(sv.Key), held, cell(sv.Metadata)})
		}
		table(w, []string{"INSTANCE", "HELD", "METADATA"}, rows)
	})
}

func serversOf(s filecache.Snapshot) []server {
	all := make([]server, len(s.Servers))
	for i, sv := range s.Servers {
		all[i] = server{Key: sv.Key, Metadata: sv.Value}
		if !sv.HeldSince.IsZero() {
			all[i].HeldSince = &sv.HeldSince
		}
	}
	return all
}

// verdict is what verify says of one file.
type verdict struct {
	Kind    string     `json:"kind"`
	File    string     `json:"file"`
	Verdict string     `json:"verdict"` // "good", "absent", "bad"
	Err     string     `json:"err,omitempty"`
	Servers int        `json:"servers"`
	AsOf    *time.Time `json:"asOf,omitempty"`
}

func (a *app) verifyFile() error {
	p, err := a.placeOf()
	if err != nil {
		return err
	}
	var all []verdict
	bad, good := 0, 0
	for _, which := range []string{fileOverride, fileList, filePrevious} {
		v := verdict{Kind: which, File: p.files[which], Verdict: "good"}
		switch s, err := p.look(which); {
		case errors.Is(err, fs.ErrNotExist):
			v.Verdict = "absent"
		case err != nil:
			v.Verdict, v.Err = "bad", err.Error()
			bad++
		default:
			good++
			v.Servers, v.AsOf = len(s.Servers), &s.AsOf
		}
		all = append(all, v)
	}
	if err := a.result(map[string]any{"files": all}, func(w io.Writer) {
		var rows [][]string
		for _, v := range all {
			more := cell(v.Err)
			if v.AsOf != nil {
				more = fmt.Sprintf("%d servers, confirmed %s ago", v.Servers, age(time.Since(*v.AsOf)))
			}
			rows = append(rows, []string{v.Kind, v.Verdict, cell(v.File), more})
		}
		table(w, []string{"FILE", "VERDICT", "PATH", ""}, rows)
	}); err != nil {
		return err
	}
	switch {
	case bad > 0:
		return fail(exitFindings, "%d files cannot be used", bad)
	case good == 0:
		return fail(exitNotFound, "there is no file: %s", p.files[fileList])
	}
	return nil
}

// difference is one between the file and ZooKeeper.
type difference struct {
	Kind      string `json:"kind"` // "only in the file", "only in ZooKeeper", "metadata"
	Instance  string `json:"instance"`
	File      string `json:"file"` // metadata
	ZooKeeper string `json:"zooKeeper"`
}

func (a *app) diffFile(ctx context.Context, zk *zookeeper) error {
	p, err := a.placeOf()
	if err != nil {
		return err
	}
	_, s, err := p.newest(fileList, filePrevious)
	if err != nil {
		return err
	}
	sv, _, err := zk.read(ctx, s.Service)
	if err != nil {
		return err
	}
	live := make(map[string]string)
	if sv != nil {
		for _, i := range sv.Instances {
			live[i.Key] = i.Metadata
		}
	}
	all := differences(s, live)
	if err := a.result(map[string]any{"service": s.Service, "differences": all}, func(w io.Writer) {
		for _, d := range all {
			_, _ = fmt.Fprintf(w, "%-17s  %s  %s  %s\n", d.Kind, cell(d.Instance), quoted(d.File), quoted(d.ZooKeeper)) // as in table
		}
	}); err != nil {
		return err
	}
	if len(all) > 0 {
		return fail(exitFindings, "%d differences", len(all))
	}
	return nil
}

func differences(s filecache.Snapshot, live map[string]string) []difference {
	all := []difference{}
	for _, f := range s.Servers {
		switch value, there := live[f.Key]; {
		case !there:
			all = append(all, difference{"only in the file", f.Key, f.Value, ""})
		case value != f.Value:
			all = append(all, difference{"metadata", f.Key, f.Value, value})
		}
		delete(live, f.Key)
	}
	for key, value := range live {
		all = append(all, difference{"only in ZooKeeper", key, "", value})
	}
	slices.SortFunc(all, func(a, b difference) int { return strings.Compare(a.Instance, b.Instance) })
	return all
}
