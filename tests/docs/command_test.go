package docs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// runElsewhere are the lines that a test types as they stand, and that test.
var runElsewhere = map[string]string{
	"cp list.json override.json":      "TestACopyOfTheListIsAnOverride",
	"cat holdfast/*/rpcx/*/list.json": "TestGettingStartedWorksAsItIsTyped",
	"go mod init example.org/hello":   "TestGettingStartedWorksAsItIsTyped",
	"go mod tidy":                     "TestGettingStartedWorksAsItIsTyped",
}

// reader is somebody who types what a page tells, line by line: where he is, and which directories of his own he has made.
type reader struct {
	page *page
	code *codebase
	dir  string          // from the repository's top; below made, of his own
	made map[string]bool // his own directories
}

// typeLine checks a line, and goes where it goes.
func (r *reader) typeLine(line string) error {
	if test, ok := runElsewhere[line]; ok {
		if !r.code.tests[test] {
			return fmt.Errorf("is run by %s, which does not exist", test)
		}
		return nil
	}
	all, err := commands(line)
	if err != nil {
		return err
	}
	was := r.dir
	defer func() {
		if len(all) > 0 && all[0].alone {
			r.dir = was
		}
	}()
	var errs []error
	for _, c := range all {
		check, ok := checks[c.words[0]]
		if !ok {
			errs = append(errs, fmt.Errorf("%s: nobody knows whether that can be typed", c.words[0]))
			continue
		}
		errs = append(errs, check(r, c.words[1:]))
	}
	return errors.Join(errs...)
}

// checks tell of a command's arguments whether what they name exists.
var checks map[string]func(r *reader, args []string) error

func init() { // they use each other
	checks = map[string]func(r *reader, args []string) error{
		"$EDITOR": (*reader).editor,
		"apt-get": (*reader).aptGet,
		"cd":      (*reader).cd,
		"docker":  (*reader).docker,
		"go":      (*reader).goTool,
		"grep":    (*reader).grep,
		"head":    func(*reader, []string) error { return nil },
		"holdfast": func(r *reader, _ []string) error {
			if !r.code.tests["TestEveryCommandOfThePagesIsRun"] {
				return errors.New("the test that runs it is gone")
			}
			return nil
		},
		"kubectl": (*reader).kubectl,
		"make":    (*reader).makeTool,
		"mkdir":   (*reader).mkdir,
	}
}

// at is a path as the reader's directory makes it, from the repository's top.
func (r *reader) at(name string) string { return path.Join(r.dir, name) }

func (r *reader) exists(name string) error {
	if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(r.at(name)))); err != nil {
		return fmt.Errorf("there is no %s", r.at(name))
	}
	return nil
}

func (r *reader) editor(args []string) error {
	if len(args) != 1 {
		return errors.New("one file is needed")
	}
	return r.exists(args[0])
}

func (r *reader) mkdir(args []string) error {
	for _, dir := range args {
		if strings.HasPrefix(dir, "-") {
			return fmt.Errorf("mkdir %s", dir)
		}
		r.made[r.at(dir)] = true
	}
	return nil
}

func (r *reader) cd(args []string) error {
	if len(args) != 1 {
		return errors.New("cd needs one directory")
	}
	if dir := r.at(args[0]); !r.made[dir] {
		if err := r.exists(args[0]); err != nil {
			return err
		}
	}
	r.dir = r.at(args[0])
	return nil
}

func (r *reader) aptGet(args []string) error {
	if len(args) != 2 || args[0] != "install" {
		return errors.New("apt-get install PACKAGE")
	}
	for _, script := range []string{"zookeeper", "chromium"} {
		text, err := os.ReadFile(filepath.Join(top, ".ci", script))
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "apt-get install "+args[1]+" ") {
			return nil
		}
	}
	return fmt.Errorf("nobody here installs %s", args[1])
}

// madeByBench is what a run of the benchmark leaves, which stands here only beside a run that was kept whole.
const madeByBench = "bench/results/results.json"

// grep has to find something.
func (r *reader) grep(args []string) error {
	if len(args) != 2 || strings.HasPrefix(args[0], "-") {
		return errors.New("grep PATTERN FILE")
	}
	text, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(r.at(args[1]))))
	if errors.Is(err, fs.ErrNotExist) && args[1] == madeByBench {
		return nil
	}
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), args[0]) {
		return fmt.Errorf("%s has no %s", args[1], args[0])
	}
	return nil
}

// docker is not there everywhere: its line is read, no more.
func (r *reader) docker(args []string) error {
	if !regexp.MustCompile(`^run --rm -p (\d+):2181 zookeeper:3\.\d+$`).MatchString(strings.Join(args, " ")) {
		return errors.New("docker run --rm -p PORT:2181 zookeeper:VERSION")
	}
	return nil
}

// kubectl has no cluster here: its line is read, no more.
func (r *reader) kubectl(args []string) error {
	if len(args) < 2 || !slices.Contains([]string{"apply", "create", "delete", "describe", "exec", "get", "logs", "rollout", "scale"}, args[0]) {
		return errors.New("kubectl does not do that")
	}
	return nil
}

func (r *reader) makeTool(args []string) error {
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	if err != nil {
		return err
	}
	for _, arg := range args {
		if name, _, ok := strings.Cut(arg, "="); ok {
			if !strings.Contains(string(makefile), "$("+name+")") {
				return fmt.Errorf("Makefile does not use %s", name)
			}
		} else if !strings.Contains(string(makefile), "\n.PHONY: "+arg+"\n"+arg+":") {
			return fmt.Errorf("there is nothing to make that is called %s", arg)
		}
	}
	return nil
}

// kinds are the blocks that a test of this package or of tests/release reads. What stands in another is checked by nobody.
var kinds = []string{"drill", "files", "go", "indented", "json", "log", "output", "page", "sh", "yaml"}

func TestEveryBlockIsOfAKindThatIsChecked(t *testing.T) {
	for _, p := range everyPage(t) {
		for _, b := range p.blocks {
			if kind, _, _ := strings.Cut(b.lang, " "); !slices.Contains(kinds, kind) {
				t.Errorf("%s:%d: nobody checks a block of %q", p.name, b.line, b.lang)
			}
		}
	}
}

// Somebody copies a line, and it has to work: each is run by a test, or names only what exists.
func TestEveryCommandOfThePagesExists(t *testing.T) {
	code := readCode(t)
	lines := 0
	for _, p := range append(everyPage(t), read(t, "CONTRIBUTING.md"), read(t, "zkdiscovery/zktest/README.md")) {
		r := &reader{page: p, code: code, made: make(map[string]bool)}
		all := shellLines(p)
		for i, l := range all {
			if begins := i == 0 || l.inline || l.line != all[i-1].line+1; begins && len(r.made) == 0 {
				r.dir = ""
			}
			lines++
			if err := r.typeLine(l.text); err != nil {
				t.Errorf("%s:%d: %s: %v", p.name, l.line, l.text, err)
			}
		}
	}
	if lines < 100 {
		t.Errorf("only %d lines: have the pages another form now?", lines)
	}
}

func TestACommandThatDoesNotExistIsFound(t *testing.T) {
	code := readCode(t)
	for _, c := range []struct{ page, want string }{
		{"make everything", "there is nothing to make that is called everything"},
		{"make bench BENCHFLAG=-quick", "Makefile does not use BENCHFLAG"},
		{"go run ./examples", "no Go files in examples"},
		{"go run ./selector", "selector is no command"},
		{"go run ./example -stats 127.0.0.1:0", "example knows no flag -stats"},
		{"go run ./example status", "example takes no argument status"},
		{"cd bench && go run . -quik", "bench knows no flag -quik"},
		{"cd benches && go run .", "there is no benches"},
		{"go test ./nowhere", "no Go files in nowhere"},
		{"go test -run TestO77 . ./tests/guard", "nothing in . ./tests/guard is matched by -run TestO77"},
		{"go test ./tests/weather -weather.sed 42", "go test knows no flag -weather.sed"},
		{"go test ./selector -weather.seed 42", "./selector knows no flag -weather.seed"},
		{"go doc ./zktest", "no Go files in zktest"},
		{"go doc github.com/holdfast-go/holdfast/zkdiscovery/zktest.Sever", "zkdiscovery/zktest has no Sever"},
		{"go test -coutn=2 ./selector", "go test knows no flag -coutn"},
		{"go test -fuzz FuzzGard ./internal/belief", "nothing in ./internal/belief is matched by -fuzz FuzzGard"},
		{"go test -run '^$' -bench Nothing ./zkdiscovery", "nothing in ./zkdiscovery is matched by -bench Nothing"},
		{"go get github.com/holdfast-go/holdfst@latest", "github.com/holdfast-go/holdfst is no module of this repository"},
		{"go install github.com/holdfast-go/holdfast/zkdiscovery@latest", "zkdiscovery is no command and module of this repository"},
		{"go install github.com/holdfast-go/holdfast/zkdiscovery/cmd/holdfast", "has no version"},
		{"docker run -p 2181 zookeeper", "docker run --rm -p PORT:2181 zookeeper:VERSION"},
		{"grep nothing README.md", "README.md has no nothing"},
		{"go -C zkdiscovery install .", "zkdiscovery is no command"},
		{"go instal ./example", "go instal"},
		{"go mod init example.org/other", "go mod"},
		{"go mod edit -replace github.com/holdfast-go/holdfst=../holdfast", "github.com/holdfast-go/holdfst is no module of this repository"},
		{"go mod edit -replac github.com/holdfast-go/holdfast=../holdfast", "go mod"},
		{"go env -w GOPROXI=https://goproxy.cn,direct", "go env"},
		{"$EDITOR tests/lists/chnge_test.go", "there is no tests/lists/chnge_test.go"},
		{"kubectl aply -f x.yaml", "kubectl does not do that"},
		{"apt-get install tomcat", "nobody here installs tomcat"},
		{"sudo make test", "sudo: nobody knows whether that can be typed"},
		{"make test > log", "only commands in a row"},
		{"mkdir hello && cd hello\ngo run ./server", "the page does not say what hello/server has"},
	} {
		r := &reader{page: parse("x.md", "```sh\n"+c.page+"\n```\n"), code: code, made: make(map[string]bool)}
		var errs []error
		for _, l := range shellLines(r.page) {
			errs = append(errs, r.typeLine(l.text))
		}
		if err := errors.Join(errs...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.page, err, c.want)
		}
	}
	inline := parse("x.md", "Type `make everything`, not `make` nor `do`.\n")
	if got := shellLines(inline); len(got) != 1 || got[0].text != "make everything" {
		t.Errorf("%v", got)
	}
}
