package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) override() *cobra.Command {
	c := &cobra.Command{
		Use: "override", Short: "Decide a service's list by hand, or stop doing so", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var fromFile, empty bool
	var comment string
	set := &cobra.Command{
		Use: "set [INSTANCE...]", Short: "Write an override: its list is used at once, whatever ZooKeeper says, until it is cleared",
		Long: "Write an override for every program with this cache directory. Its list is used at once, whatever ZooKeeper says, until it is\n" +
			"cleared. An INSTANCE is tcp@10.0.0.1:8972, or with metadata tcp@10.0.0.1:8972?weight=5; without, it has the metadata that the\n" +
			"cache file knows. The file is judged as the library judges it before it is put in its place, in one step.",
		RunE: func(_ *cobra.Command, args []string) error { return a.setOverride(args, fromFile, empty, comment) },
	}
	set.Flags().BoolVar(&fromFile, "from-file", false, "take the list of the cache file, and INSTANCEs beside it")
	set.Flags().BoolVar(&empty, "empty", false, "an empty list: nobody is called")
	set.Flags().StringVar(&comment, "comment", "", "`text` for colleagues")
	unset := &cobra.Command{
		Use: "clear", Short: "Delete the override", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.clearOverride() },
	}
	for _, sub := range []*cobra.Command{set, unset} {
		a.needFile(sub)
		c.AddCommand(sub)
	}
	return c
}

// document is an override as the library reads it.
type document struct {
	Comment string  `json:"comment,omitempty"`
	Empty   bool    `json:"empty,omitempty"`
	Servers []entry `json:"servers,omitempty"`
}

type entry struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

func (a *app) setOverride(args []string, fromFile, empty bool, comment string) error {
	if empty && (fromFile || len(args) > 0) || !empty && !fromFile && len(args) == 0 {
		return fail(exitUsage, "instances, --from-file, or --empty alone are needed")
	}
	p, err := a.placeOf()
	if err != nil {
		return err
	}
	doc := document{Comment: comment, Empty: empty}
	known := make(map[string]string)
	_, s, err := p.newest(fileList, filePrevious)
	if err != nil && fromFile {
		return err
	}
	given := make(map[string]bool)
	for _, arg := range args {
		key, _, _ := strings.Cut(arg, "?")
		given[key] = true
	}
	for _, sv := range s.Servers {
		known[sv.Key] = sv.Value
		if fromFile && !given[sv.Key] {
			doc.Servers = append(doc.Servers, entry{sv.Key, sv.Value})
		}
	}
	for _, arg := range args {
		key, metadata, said := strings.Cut(arg, "?")
		if !said {
			metadata = known[key]
		}
		doc.Servers = append(doc.Servers, entry{key, metadata})
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	path := p.files[fileOverride]
	if _, err := p.cache.Judge(path, text); err != nil {
		return fail(exitUsage, "not written, since this is no valid override: %w", err)
	}
	if err := p.make(); err != nil {
		return err
	}
	if err := replace(path, append(text, '\n')); err != nil {
		return err
	}
	if dir := filepath.Dir(path); !kept(dir) {
		more := ""
		if homes := p.elsewhere(); len(homes) > 0 {
			more = ". Lists of this service are in " + strings.Join(homes, ", ")
		}
		a.note("no program has kept a list in %s, so perhaps none reads this: is --zk as the programs have it, and is --ensemble?%s", cell(dir), more)
	}
	return a.result(map[string]any{"file": path, "servers": len(doc.Servers)}, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%d servers in %s\nin force until: holdfast override clear\n", len(doc.Servers), cell(path)) // as in table
	})
}

// replace puts text at path in one step, so that nobody reads half of it.
func replace(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".override-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (a *app) clearOverride() error {
	p, err := a.placeOf()
	if err != nil {
		return err
	}
	path := p.files[fileOverride]
	switch err := os.Remove(path); {
	case errors.Is(err, fs.ErrNotExist):
		return fail(exitNotFound, "there is no override: %s", path)
	case err != nil:
		return err
	}
	return a.result(map[string]any{"file": path, "cleared": true}, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "cleared %s\n", cell(path)) // as in table
	})
}
