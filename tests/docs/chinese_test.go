package docs

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// chinese is the name of a page's translation.
func chinese(name string) string {
	switch name {
	case "README.md":
		return "docs/zh/README.md"
	case "docs/README.md":
		return "docs/zh/index.md"
	}
	return "docs/zh/" + path.Base(name)
}

// book has all pages in both languages, by name.
type book struct {
	pages   map[string]*page
	english map[string]string // the original of each translation
}

func bookOf(originals, translations []*page) book {
	b := book{make(map[string]*page), make(map[string]string)}
	for _, p := range originals {
		b.pages[p.name] = p
		b.english[chinese(p.name)] = p.name
	}
	for _, p := range translations {
		b.pages[p.name] = p
	}
	return b
}

// original is the English page of a translation; any other file is its own.
func (b book) original(name string) string {
	if english, ok := b.english[name]; ok {
		return english
	}
	return name
}

// note begins a line of a Chinese page that explains what stays in English, such as the words of a table that is measured. It is compared with nothing,
// so it may have no figures.
const note = "> 译注："

// differences tells where a page and its translation are not in step. Both have the same skeleton, and in each section, in any order, the same
// texts between backticks, the same figures and the same links. That the words mean the same is for a person to see.
func (b book) differences(en, zh *page) []string {
	if apart := apart(en, zh); apart != "" {
		return []string{apart} // what follows is shifted, so that comparing it says nothing
	}
	var found []string
	in, out := sections(en), sections(zh)
	for i := range in {
		for _, c := range []struct {
			what        string
			here, there []string
		}{
			{"code", codeIn(in[i]), codeIn(out[i])},
			{"figures", figuresIn(in[i]), figuresIn(out[i])},
			{"links", b.links(en, in[i]), b.links(zh, out[i])},
		} {
			missing, extra := without(c.here, c.there), without(c.there, c.here)
			if len(missing)+len(extra) > 0 {
				title, _, _ := strings.Cut(out[i], "\n")
				found = append(found, fmt.Sprintf("%s, %q: %s: only in English %q, only in Chinese %q", zh.name, title, c.what, missing, extra))
			}
		}
	}
	before := ""
	for line := range strings.SplitSeq(zh.prose, "\n") {
		if isText(before) && isText(line) && !listItem.MatchString(line) {
			found = append(found, fmt.Sprintf("%s: a paragraph goes on in a second line, which is shown as a space: %q", zh.name, line))
		}
		before = line
		if figures := figuresIn(line); strings.HasPrefix(line, note) && len(figures) > 0 {
			found = append(found, fmt.Sprintf("%s: a note with figures %q: %q", zh.name, figures, line))
		}
		if !isTranslated(line) && !strings.HasPrefix(line, "|") { // the rows of marked tables are in English
			found = append(found, fmt.Sprintf("%s: not in Chinese: %q", zh.name, line))
		}
	}
	return found
}

// apart is where the skeletons of a page and its translation are not the same for the first time.
func apart(en, zh *page) string {
	here, there := skeleton(en), skeleton(zh)
	for i, x := range here[:min(len(here), len(there))] {
		y := there[i]
		switch {
		case x.is == y.is:
		case strings.HasPrefix(x.is, aBlock) && strings.HasPrefix(y.is, aBlock):
			return fmt.Sprintf("%s:%d (-) and %s:%d (+) are not the same block\n%s", en.name, x.line, zh.name, y.line, cmp.Diff(x.is, y.is))
		default:
			return fmt.Sprintf("%s:%d is %s\n%s:%d is %s", en.name, x.line, x.is, zh.name, y.line, y.is)
		}
	}
	return ""
}

// bone is a part of a page's skeleton.
type bone struct {
	line int
	is   string
}

const aBlock = "a block"

var listItem = regexp.MustCompile(`^(- |\d+\. )`)

// skeleton is the sequence of a page's headings with their ranks, paragraphs, list items, blocks byte for byte, and tables with their marks and the
// number of cells in each row, with an end.
func skeleton(p *page) []bone {
	at := make(map[int]string)
	for _, h := range p.headings {
		at[h.line] = fmt.Sprintf("a heading of rank %d", h.rank)
	}
	for _, t := range p.tables {
		is := fmt.Sprintf("a table %s, rows of", t.figures)
		for _, row := range t.rows {
			is += fmt.Sprintf(" %d", len(row))
		}
		at[t.line] = is
	}
	within := make(map[int]bool)
	for _, b := range p.blocks {
		at[b.line] = fmt.Sprintf("%s of %s\n%s", aBlock, b.lang, b.text)
		for n := range strings.Count(b.text, "\n") + 1 {
			within[b.line+n] = true // with the closing fence
		}
	}
	var bones []bone
	running := false // a paragraph or a list item
	for i, line := range strings.Split(p.text, "\n") {
		n := i + 1
		if is, ok := at[n]; ok {
			bones = append(bones, bone{n, is})
		}
		switch {
		case at[n] != "", within[n], line == "", strings.HasPrefix(line, note), strings.HasPrefix(line, "|"), strings.HasPrefix(strings.TrimLeft(line, " "), "```"), strings.HasPrefix(line, "<!--"):
			running = false
		case listItem.MatchString(line):
			bones, running = append(bones, bone{n, "a list item"}), true
		case !running:
			bones, running = append(bones, bone{n, "a paragraph"}), true
		}
	}
	return append(bones, bone{strings.Count(p.text, "\n"), "the end"})
}

// sections are a page's prose, cut before each heading.
func sections(p *page) []string {
	found := []string{""}
	for line := range strings.Lines(p.prose) {
		if strings.HasPrefix(line, note) {
			continue
		}
		if rest := strings.TrimLeft(line, "#"); rest != line && strings.HasPrefix(rest, " ") {
			found = append(found, "")
		}
		found[len(found)-1] += line
	}
	return found
}

var (
	inBackticks = regexp.MustCompile("`[^`\n]+`")
	linkTarget  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	aFigure     = regexp.MustCompile(`(\d(?:[\d.,]*\d)?)(?:[ -]?(%|毫秒|微秒|秒|分钟|小时|天|字节|(?:ms|µs|s|seconds?|min|minutes?|hours?|days?|bytes?|[KMG]i?B)\b))?`)
	unit        = map[string]string{
		"second": "s", "seconds": "s", "秒": "s", "毫秒": "ms", "微秒": "µs", "min": "minute", "minutes": "minute", "分钟": "minute", "hours": "hour", "小时": "hour",
		"days": "day", "天": "day", "bytes": "byte", "字节": "byte",
	}
)

// figuresIn are the numbers in digits that stand outside of backticks and links, with the unit of time, size or share that follows: 3 s is 3 seconds
// and 3 秒, and 1,000 is 1000. A number that is written as a word in one language is written as a word in the other.
func figuresIn(text string) []string {
	text = linkTarget.ReplaceAllString(inBackticks.ReplaceAllString(text, ""), "]")
	var found []string
	for _, m := range aFigure.FindAllStringSubmatch(text, -1) {
		of := m[2]
		if same, ok := unit[of]; ok {
			of = same
		}
		found = append(found, strings.TrimSpace(strings.ReplaceAll(m[1], ",", "")+" "+of))
	}
	return found
}

// links are where those of a section lead: the page's English name and which of its headings, so that both languages say the same. The link from a
// page to its other language is none of them.
func (b book) links(from *page, section string) []string {
	var found []string
	own := b.original(from.name)
	for _, m := range linkTarget.FindAllStringSubmatch(section, -1) {
		target, fragment, _ := strings.Cut(m[1], "#")
		if strings.Contains(target, "://") {
			found = append(found, m[1])
			continue
		}
		file := from.name
		if target != "" {
			file = path.Join(path.Dir(from.name), target)
		}
		place := b.original(file)
		if inBoth := b.english[chinese(place)] == place; inBoth && (file == place) != (from.name == own) {
			if fragment == "" && place == own {
				continue
			}
			place += " in the other language"
		}
		if to := b.pages[file]; fragment != "" && to != nil {
			fragment = fmt.Sprint("heading ", slices.Index(anchors(to), fragment))
		}
		found = append(found, strings.TrimSuffix(place+", "+fragment, ", "))
	}
	return found
}

// without is a without what is in b, each as often as it is there.
func without(a, b []string) []string {
	a = slices.Clone(a)
	for _, s := range b {
		if i := slices.Index(a, s); i >= 0 {
			a = slices.Delete(a, i, i+1)
		}
	}
	return a
}

var fourWords = regexp.MustCompile(`[A-Za-z']+[ ,.:;]+[A-Za-z']+[ ,.:;]+[A-Za-z']+[ ,.:;]+[A-Za-z']+`)

// isText tells whether a line of prose is one of a paragraph or of a list.
func isText(line string) bool { return line != "" && !strings.ContainsAny(line[:1], "|#<>") }

// isTranslated tells whether a line of a Chinese page is in Chinese, or has no four words outside of backticks and links.
func isTranslated(line string) bool {
	line = linkTarget.ReplaceAllString(inBackticks.ReplaceAllString(line, ""), "]")
	return strings.ContainsFunc(line, func(r rune) bool { return unicode.Is(unicode.Han, r) }) || !fourWords.MatchString(line)
}

// Who reads Chinese reads the same as who reads English: who changes a page changes its translation.
func TestEveryPageIsInStepWithItsTranslation(t *testing.T) {
	pages, translations := english(t), pagesIn(t, "docs/zh")
	b := bookOf(pages, translations)
	for _, zh := range translations {
		if b.english[zh.name] == "" {
			t.Errorf("%s is no page's translation", zh.name)
		}
	}
	for _, en := range pages {
		zh := b.pages[chinese(en.name)]
		if zh == nil {
			t.Errorf("%s is missing", chinese(en.name))
			continue
		}
		for _, d := range b.differences(en, zh) {
			t.Error(d)
		}
	}
}

func TestDifferences(t *testing.T) {
	const en = `# A page

For you. [中文](zh/a.md)

## One

It takes 3 s and 1,000 bytes, 50 % of the 60 connections, says ` + "`x`" + `: [b](b.md#two), [site](https://example.org/1), [code](../go.mod).

- a
  and more
- b

## Two

1. See [there](#one).

` + "```go\nx := 1 // 4\n```" + `

<!-- figures: f -->
| name | n |
|---|---|
| a row of four words | 5 ms |

| a | b |
|---|---|
| 1 | ` + "`2`" + ` |
`
	const zh = `# 页面

写给你。[English](../a.md)

## 一

[代码](../../go.mod)和[网站](https://example.org/1)：` + "`x`" + `，3 秒，60 条连接的 50 %，1000 字节，见 [b](b.md#二)。

- 甲
- 乙

## 二

1. 见[那里](#一)。

` + "```go\nx := 1 // 4\n```" + `

<!-- figures: f -->
| name | n |
|---|---|
| a row of four words | 5 ms |

| 甲 | 乙 |
|---|---|
| 1 | ` + "`2`" + ` |
`
	for _, c := range []struct{ old, now, want string }{
		{"", "", ""},
		{"## 二", "### 二", "a heading of rank 3"},
		{"\n## 二\n", "", "docs/zh/a.md:12 is a list item"},
		{"- 乙\n", "", "is a list item\ndocs/zh/a.md:11 is a heading"},
		{"写给你。[English](../a.md)\n", "", "is a paragraph\ndocs/zh/a.md:4 is a heading"},
		{"x := 1 // 4", "x := 2 // 4", "docs/zh/a.md:17 (+) are not the same block"},
		{"// 4", "// 四", "are not the same block"},
		{"```go\nx := 1 // 4\n```\n", "", "is a block of go\nx := 1 // 4\n\ndocs/zh/a.md:18 is a table"},
		{"| 1 | `2` |", "| 1 `2` |", "rows of 2 1"},
		{"| 1 | `2` |\n", "", "docs/a.md:26 is a table , rows of 2 2\ndocs/zh/a.md:25 is a table , rows of 2"},
		{"<!-- figures: f -->\n", "", "a table , rows of 2 2"},
		{"| 1 | `2` |\n", "| 1 | `2` |\n\n完。\n", "is the end\ndocs/zh/a.md:29 is a paragraph"},
		{"3 秒", "30 秒", `only in English ["3 s"], only in Chinese ["30 s"]`},
		{"3 秒", "3 分钟", `only in English ["3 s"], only in Chinese ["3 minute"]`},
		{"3 秒", "三秒", `only in English ["3 s"], only in Chinese []`},
		{"50 %", "50", `only in English ["50 %"], only in Chinese ["50"]`},
		{"1000 字节", "100 字节", `only in English ["1000 byte"], only in Chinese ["100 byte"]`},
		{"60 条", "60 条、60 条", `only in English [], only in Chinese ["60"]`},
		{"`x`", "`y`", `code: only in English ["x"], only in Chinese ["y"]`},
		{"b.md#二", "b.md#一", `links: only in English ["docs/b.md, heading 2"], only in Chinese ["docs/b.md, heading 1"]`},
		{"b.md#二", "../b.md#two", `only in Chinese ["docs/b.md in the other language, heading 2"]`},
		{"b.md#二", "c.md", `only in Chinese ["docs/zh/c.md"]`},
		{"#一", "../a.md#one", `only in Chinese ["docs/a.md in the other language, heading 1"]`},
		{"example.org/1", "example.org/2", `only in English ["https://example.org/1"], only in Chinese ["https://example.org/2"]`},
		{"../../go.mod", "../../go.sum", `only in English ["go.mod"], only in Chinese ["go.sum"]`},
		{"## 二\n", "## 二\n\n> 译注：`z` 是说明，不参加比对。\n", ""},
		{"## 二\n", "## 二\n\n> 译注：说明，5 秒。\n", "a note with figures [\"5 s\"]"},
		{"## 二\n", "## 二\n\n> 说明。\n", "is a paragraph"},
		{"- 乙", "- 乙，\n  再说", "goes on in a second line"},
		{"- 乙", "- this is left in English", "not in Chinese"},
	} {
		broken := strings.Replace(zh, c.old, c.now, 1)
		if c.old != "" && broken == zh {
			t.Fatalf("%q is not in the page", c.old)
		}
		pages := []*page{parse("docs/a.md", en), parse("docs/b.md", "# B\n## One\n## Two\n")}
		translations := []*page{parse("docs/zh/a.md", broken), parse("docs/zh/b.md", "# B\n## 一\n## 二\n")}
		got := bookOf(pages, translations).differences(pages[0], translations[0])
		if c.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || c.want == "" || !strings.Contains(got[0], c.want) {
			t.Errorf("%q for %q: %q, want %q", c.now, c.old, got, c.want)
		}
	}
}
