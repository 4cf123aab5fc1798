package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"github.com/spf13/pflag"
)

var (
	typed     = regexp.MustCompile(`(?m)^(?:    )?holdfast (.*)$`)
	inlined   = regexp.MustCompile("`holdfast ([^`\n]+)`")
	instances = regexp.MustCompile(`^tcp@[\d.]+:\d+$`)
)

// pages are README.md and all that is below docs, by file.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files := []string{"../../../README.md"}
	for _, dir := range []string{"docs", "docs/zh"} {
		more, err := filepath.Glob(filepath.Join("../../..", dir, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	all := make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[file] = string(text)
	}
	return all
}

// pageWorld is what the commands of a page are about: a service Arith with the instances that they name, each registered by a plugin, and its cache file.
type pageWorld struct{ zk, cache string }

func newPageWorld(t *testing.T, lines [][]string) pageWorld {
	t.Helper()
	zk := zktest.Start(t)
	for _, key := range slices.Compact(slices.Sorted(slices.Values(slices.DeleteFunc(slices.Concat(lines...), func(word string) bool { return !instances.MatchString(word) })))) {
		p := serverplugin.NewZooKeeperRegisterPlugin(serverplugin.WithZKServiceAddress(key), serverplugin.WithZKBasePath("/rpcx"),
			serverplugin.WithZKServersAddress([]string{zk.Addr()}), serverplugin.WithLogger(slog.New(slog.DiscardHandler)))
		t.Cleanup(func() { _ = p.Stop() })
		if err := errors.Join(p.Register("Arith", nil, "weight=3"), p.WaitRegistered(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	w := pageWorld{zk.Addr(), t.TempDir()}
	d, err := zkdiscovery.New("/rpcx", "Arith", []string{w.zk}, zkdiscovery.WithCacheDir(w.cache))
	if err != nil {
		t.Fatal(err)
	}
	d.Close() // the file is written
	return w
}

// in puts what there is in the place of a page's names.
func (w pageWorld) in(words []string) []string {
	words = slices.Clone(words)
	for i := range words {
		switch {
		case i > 0 && words[i-1] == "--zk":
			words[i] = w.zk
		case i > 0 && words[i-1] == "--cache-dir":
			words[i] = w.cache
		case words[i] == "NAME":
			words[i] = "Arith"
		}
	}
	return words
}

// An operator copies a line in the night. Each of a page is run, in the page's order.
func TestEveryCommandOfThePagesIsRun(t *testing.T) {
	ran := 0
	for file, text := range pages(t) {
		var lines [][]string
		for _, m := range typed.FindAllStringSubmatch(text, -1) {
			lines = append(lines, strings.Fields(m[1]))
		}
		if len(lines) == 0 {
			continue
		}
		w := newPageWorld(t, lines)
		for _, words := range lines {
			ran++
			var diag strings.Builder
			if code := run(t.Context(), w.in(words), io.Discard, &diag, os.Getenv); code != exitOK {
				t.Errorf("%s: holdfast %s: exit code %d\n%s", file, strings.Join(words, " "), code, &diag)
			}
		}
	}
	if ran < 12 {
		t.Errorf("only %d commands: have the pages another form now?", ran)
	}
}

// What stands in a sentence is a command, or the beginning of one.
func TestEveryCommandInASentenceExists(t *testing.T) {
	found := 0
	for file, text := range pages(t) {
		for _, m := range inlined.FindAllStringSubmatch(text, -1) {
			found++
			if err := parses(strings.Fields(m[1])); err != nil {
				t.Errorf("%s: %s: %v", file, m[0], err)
			}
		}
	}
	if found < 12 {
		t.Errorf("only %d commands: have the pages another form now?", found)
	}
	for line, want := range map[string]string{
		"lst":                  `unknown command "lst"`,
		"override clean":       `unknown command "clean"`,
		"list --zookeeper x:1": "unknown flag: --zookeeper",
		"list --cache-dir x":   "unknown flag: --cache-dir",
		"--authentication x":   "unknown flag: --authentication",
	} {
		if err := parses(strings.Fields(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("holdfast %s: %v, want %s", line, err, want)
		}
	}
}

// parses tells whether there is such a command with such flags. How many arguments it needs is not asked.
func parses(words []string) error {
	a := &app{out: io.Discard, diag: io.Discard, env: os.Getenv}
	c, rest, err := a.root().Find(words)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil && !errors.Is(err, pflag.ErrHelp) {
		return err
	}
	if left := c.Flags().Args(); len(left) > 0 && c.HasSubCommands() {
		return fmt.Errorf("unknown command %q", left[0])
	}
	return nil
}
