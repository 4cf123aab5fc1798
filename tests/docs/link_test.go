package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// anchor is what GitHub calls a heading in a link, where no heading before it has the same.
func anchor(heading string) string {
	heading = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(heading, "$1")
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.Is(unicode.Mn, r), r == '-', r == '_':
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('-')
		}
	}
	return b.String()
}

// anchors are those of a page's headings.
func anchors(p *page) []string {
	var all []string
	seen := make(map[string]int)
	for _, h := range p.headings {
		a := anchor(h.text)
		if n := seen[a]; n > 0 {
			all = append(all, fmt.Sprintf("%s-%d", a, n))
		} else {
			all = append(all, a)
		}
		seen[a]++
	}
	return all
}

func TestAnchor(t *testing.T) {
	for heading, want := range map[string]string{
		"What holds, and what does not":                "what-holds-and-what-does-not",
		"`zkdiscovery: no list of instances: neither`": "zkdiscovery-no-list-of-instances-neither",
		"XClient, OneClient, pools":                    "xclient-oneclient-pools",
		"ZooKeeper 不在时":                                "zookeeper-不在时",
		"3. A server":                                  "3-a-server",
		"[a link](to.md) and more":                     "a-link-and-more",
	} {
		if got := anchor(heading); got != want {
			t.Errorf("%q: %q, want %q", heading, got, want)
		}
	}
	if got := anchors(parse("", "# A\n## B\n## B\n")); !slices.Equal(got, []string{"a", "b", "b-1"}) {
		t.Errorf("%q", got)
	}
}

// allMarkdown are all of the repository's, also those that are no pages of ours: a link may lead there.
func allMarkdown(t *testing.T) map[string]*page {
	t.Helper()
	all := make(map[string]*page)
	must(t, filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "testdata" || name == "bin" || name == "out" || strings.HasPrefix(name, ".") && name != "..") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(file, ".md") {
			name, err := filepath.Rel(top, file)
			must(t, err)
			all[filepath.ToSlash(name)] = read(t, filepath.ToSlash(name))
		}
		return nil
	}))
	return all
}

func TestEveryLinkWithinTheRepositoryResolves(t *testing.T) {
	all := allMarkdown(t)
	links := 0
	for _, p := range all {
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(p.prose, -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			links++
			file := p.name
			if target != "" {
				file = path.Join(path.Dir(p.name), target)
			}
			if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(file))); err != nil {
				t.Errorf("%s: %s leads to nothing", p.name, m[1])
			} else if to := all[file]; fragment != "" && (to == nil || !slices.Contains(anchors(to), fragment)) {
				t.Errorf("%s: %s: no such heading", p.name, m[1])
			}
		}
	}
	if links < 60 {
		t.Errorf("only %d links", links)
	}
}
