package faq

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// scene is something that happens, and what Holdfast logs then.
type scene struct {
	lines []string // level and message, as a page has it: "WARN connection to ZooKeeper lost"
	play  func(*harness.World, *zktest.Server)
}

// isLogged reports whether the lines of a log have the one that a page shows: a whole message, one that begins with what is before "…", or an
// attribute, "withheld=".
func isLogged(b *harness.Logbook, line string) bool {
	if strings.HasSuffix(line, "=") {
		return harness.Count(b.Edges(), " "+line) > 0
	}
	begin, open := strings.CutSuffix(line, "…")
	for _, m := range b.Messages() {
		if m == line || open && strings.HasPrefix(m, begin) {
			return true
		}
	}
	return false
}

func TestALineOfAPageIsAWholeMessage(t *testing.T) {
	w := harness.WithoutZooKeeper(t)
	w.Logbook.Logger().Warn("refused, trying on", "withheld", 3)
	for line, want := range map[string]bool{
		"WARN refused, trying on": true, "WARN refused, …": true, "withheld=": true,
		"WARN refused": false, "INFO refused, trying on": false, "refused, trying on": false, "ERROR refused, …": false, "held=": false,
	} {
		if isLogged(w.Logbook, line) != want {
			t.Errorf("%q: want %v", line, want)
		}
	}
}

// pageLine is what a page says that Holdfast logs.
type pageLine struct {
	page, text string
	level      string // "" where the page names none
}

// loggedElsewhere are lines that need a disk that fails on command, or what a bubble of this package cannot have, and the tests that log them.
var loggedElsewhere = map[string]string{
	"WARN damaged file left in place":                                                        "filecache/watch_test.go:TestWatchDeliversNothingThatLoadWouldRefuse",
	"WARN damaged file left in place, since somebody is writing":                             "filecache/load_test.go:TestLoadDoesNotWaitForAWriter",
	"WARN the registry has another kind of metric under a meter's name: it is not published": "zkdiscovery/serverplugin/meters_test.go:TestAnotherKindOfMetricIsToldOnceAndIgnored",
	"ERROR the disk of the cache file does not answer, leaving it":                           "filecache/keeper_disk_test.go:TestKeeperLeavesADiskThatHangs",
	"WARN no file notification, looking every few seconds instead":                           "filecache/notifier_test.go:TestWithoutEventsItPollsAndSaysSoOnce",
}

var logBlock = regexp.MustCompile("(?m)^```log\n((?:.*\n)*?)```$")

// linesOfThePages are those of the tables of docs/faq.md, and of the blocks of README and docs.
func linesOfThePages(t *testing.T) (all []pageLine) {
	t.Helper()
	for _, heading := range []string{"Lines of a client's log", "Lines of the cache file", "Lines of filecache.Wrap", "Lines of a server's log"} {
		for _, cells := range rows(section(t, heading)) {
			for _, line := range codeIn(cells[0]) {
				all = append(all, pageLine{"docs/faq.md, " + heading, line, strings.ToUpper(strings.TrimSuffix(cells[1], "any"))})
			}
		}
	}
	if len(all) < 70 {
		t.Errorf("only %d lines in the tables: have they another form now?", len(all))
	}
	for _, dir := range []string{"", "docs", "docs/zh"} {
		pages, err := filepath.Glob(filepath.Join("../..", dir, "*.md"))
		must(t, err)
		for _, page := range pages {
			text, err := os.ReadFile(page)
			must(t, err)
			for _, block := range logBlock.FindAllStringSubmatch(string(text), -1) {
				for line := range strings.Lines(block[1]) {
					all = append(all, pageLine{page, strings.TrimSuffix(line, "\n"), ""})
				}
			}
		}
	}
	if len(all) < 110 {
		t.Errorf("only %d lines with those of the blocks", len(all))
	}
	return all
}

func TestEveryLineOfThePagesIsLogged(t *testing.T) {
	levels := make(map[string]string) // of what is logged
	for line, where := range loggedElsewhere {
		level, message, _ := strings.Cut(line, " ")
		provokes(t, where, fmt.Sprintf("level=%s msg=%q", level, message))
		levels[message] = level
	}
	for name, s := range scenes {
		for _, line := range s.lines {
			level, message, found := strings.Cut(line, " ")
			if !found {
				level, message = "", line
			}
			if was, twice := levels[message]; twice && was != level {
				t.Errorf("%s: %q is at %s, elsewhere at %s", name, message, level, was)
			}
			levels[message] = level
		}
		t.Run(name, func(t *testing.T) {
			harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
				s.play(t, zk)
				for _, line := range s.lines {
					if !isLogged(t.Logbook, line) {
						t.Errorf("nothing logs %q", line)
					}
				}
			})
		})
	}
	shown := make(map[string]bool)
	for _, line := range linesOfThePages(t) {
		shown[line.text] = true
		if level, ok := levels[line.text]; !ok {
			t.Errorf("%s: nobody logs %q", line.page, line.text)
		} else if line.level != "" && line.level != level {
			t.Errorf("%s: %q is said to be at %s, and is at %s", line.page, line.text, line.level, level)
		}
	}
	for message := range levels {
		if !shown[message] {
			t.Errorf("no page has %q", message)
		}
	}
}
