package docs

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// command is one command of a line for a shell.
type command struct {
	words []string
	alone bool // in parentheses: where it goes with cd, the next line does not
}

var assignment = regexp.MustCompile(`^[A-Za-z_]\w*=`)

// commands are those of a line, without its comment and without what is set in their environment.
func commands(line string) ([]command, error) {
	var all []command
	var now command
	var word strings.Builder
	var quote rune
	began, alone := false, false
	endWord := func() {
		if began && (len(now.words) > 0 || !assignment.MatchString(word.String())) {
			now.words = append(now.words, word.String())
		}
		word.Reset()
		began = false
	}
	endCommand := func() {
		endWord()
		if now.alone = alone; len(now.words) > 0 {
			all = append(all, now)
		}
		now = command{}
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, began = r, true
		case r == ' ' || r == '\t':
			endWord()
		case r == '#' && !began:
			endCommand()
			return all, nil
		case r == '&' || r == '|' || r == ';':
			endCommand()
		case r == '(':
			alone = true
		case r == ')':
			endCommand()
			alone = false
		case strings.ContainsRune("<>`\\", r):
			return nil, errors.New("only commands in a row are understood, with quotes and a comment")
		default:
			word.WriteRune(r)
			began = true
		}
	}
	if quote != 0 || alone {
		return nil, errors.New("something does not end")
	}
	endCommand()
	return all, nil
}

// shellLine is what a page tells its reader to type.
type shellLine struct {
	text   string
	line   int
	inline bool // stands in a sentence
}

// programsOfPages are those whose name at the beginning of a word in code makes it a command.
var programsOfPages = []string{"apt-get", "cat", "cd", "cp", "docker", "go", "holdfast", "kubectl", "make", "mkdir"}

// shellLines are what stands in fences for a shell and in indented blocks, in the page's order, and then what stands in sentences.
func shellLines(p *page) []shellLine {
	var all []shellLine
	for _, b := range p.blocks {
		if b.lang != "sh" && b.lang != "indented" {
			continue
		}
		for i, text := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
			all = append(all, shellLine{text, b.line + i, false})
		}
	}
	for _, text := range codeIn(p.prose) {
		if name, rest, _ := strings.Cut(text, " "); rest != "" && slices.Contains(programsOfPages, name) {
			all = append(all, shellLine{text, 0, true})
		}
	}
	return all
}

func TestCommands(t *testing.T) {
	for line, want := range map[string][]command{
		"":                              nil,
		"# nothing":                     nil,
		"make test   # all of them":     {{words: []string{"make", "test"}}},
		"mkdir hello && cd hello":       {{words: []string{"mkdir", "hello"}}, {words: []string{"cd", "hello"}}},
		"(cd bench && go run . -quick)": {{[]string{"cd", "bench"}, true}, {[]string{"go", "run", ".", "-quick"}, true}},
		"A=b C='d e' go test -run '^$' -bench . ./x":   {{words: []string{"go", "test", "-run", "^$", "-bench", ".", "./x"}}},
		"go run ./example | head; make bench FLAGS=-q": {{words: []string{"go", "run", "./example"}}, {words: []string{"head"}}, {words: []string{"make", "bench", "FLAGS=-q"}}},
		"holdfast list --base \"\" --zk a#b":           {{words: []string{"holdfast", "list", "--base", "", "--zk", "a#b"}}},
	} {
		got, err := commands(line)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(command{})); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", line, err, diff)
		}
	}
	for _, line := range []string{"make 'test", "(cd bench", "make test > log", "echo `make test`"} {
		if got, err := commands(line); err == nil {
			t.Errorf("%q: %v", line, got)
		}
	}
}
