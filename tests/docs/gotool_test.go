package docs

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// codebase is what the repository's Go files declare.
type codebase struct {
	packages map[string]*declared // by directory, from the top, "." first
	modules  map[string]string    // directory by path
	tests    map[string]bool      // the names of all tests
}

// declared is what one directory's files declare.
type declared struct {
	command        bool            // package main
	flags, testing map[string]bool // true: a flag without a value; testing are those of the test files
	names          map[string]bool // types and functions
	tests          []string        // tests, benchmarks, fuzz targets and examples
}

var flagMethods = regexp.MustCompile(`^(?:Bool|Duration|Float64|Func|Int|Int64|String|Text|Uint|Uint64|BoolFunc)?(?:Var)?$`)

func readCode(t *testing.T) *codebase {
	t.Helper()
	c := &codebase{packages: make(map[string]*declared), modules: make(map[string]string), tests: make(map[string]bool)}
	must(t, filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, file)
		must(t, err)
		name = filepath.ToSlash(name)
		switch {
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return filepath.SkipDir
		case d.Name() == "go.mod":
			text, err := os.ReadFile(file)
			must(t, err)
			c.modules[regexp.MustCompile(`(?m)^module (\S+)$`).FindStringSubmatch(string(text))[1]] = path.Dir(name)
		case strings.HasSuffix(name, ".go"):
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			must(t, err)
			p := c.packages[path.Dir(name)]
			if p == nil {
				p = &declared{flags: make(map[string]bool), testing: make(map[string]bool), names: make(map[string]bool)}
				c.packages[path.Dir(name)] = p
			}
			p.read(f, strings.HasSuffix(name, "_test.go"))
		}
		return nil
	}))
	for _, p := range c.packages {
		for _, name := range p.tests {
			c.tests[name] = true
		}
	}
	return c
}

// read takes in what a file declares.
func (p *declared) read(f *ast.File, test bool) {
	flags := p.flags
	if test {
		flags = p.testing
	}
	p.command = p.command || f.Name.Name == "main" && !test
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeSpec:
			p.names[n.Name.Name] = true
		case *ast.FuncDecl:
			p.names[n.Name.Name] = true
			if test && n.Recv == nil && regexp.MustCompile(`^(Test|Benchmark|Fuzz|Example)`).MatchString(n.Name.Name) {
				p.tests = append(p.tests, n.Name.Name)
			}
		case *ast.CallExpr:
			method, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !flagMethods.MatchString(method.Sel.Name) || len(n.Args) < 3 {
				break
			}
			for _, arg := range n.Args[:2] { // flag.String("name", …), flag.StringVar(&v, "name", …)
				if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					name, _ := strconv.Unquote(lit.Value) // the parser has read it
					flags[name] = strings.HasPrefix(method.Sel.Name, "Bool")
					break
				}
			}
		}
		return true
	})
}

// goTool checks what is asked of the go command.
func (r *reader) goTool(args []string) error {
	if len(args) == 1 && slices.Contains([]string{"doc", "get", "test"}, args[0]) { // a sentence about it
		return nil
	}
	if len(args) > 2 && args[0] == "-C" {
		in := *r
		in.dir = r.at(args[1])
		return in.goTool(args[2:])
	}
	if len(args) < 2 {
		return fmt.Errorf("go %s: what does it do?", strings.Join(args, " "))
	}
	switch args[0] {
	case "doc":
		return r.goDoc(args[1])
	case "get":
		return r.each(args[1:], func(module string) error {
			if _, ok := r.code.modules[module]; !ok {
				return fmt.Errorf("%s is no module of this repository", module)
			}
			return nil
		})
	case "install":
		if args[1] == "." {
			return r.commandAt(".")
		}
		return r.each(args[1:], func(pkg string) error {
			if dir, ok := r.code.modules[pkg]; ok && r.code.packages[dir].command {
				return nil
			}
			return fmt.Errorf("%s is no command and module of this repository", pkg)
		})
	case "mod":
		if m := regexp.MustCompile(`^edit -replace (\S+)=\.\./\w+$`).FindStringSubmatch(strings.Join(args[1:], " ")); m != nil {
			if _, ok := r.code.modules[m[1]]; ok {
				return nil
			}
			return fmt.Errorf("%s is no module of this repository", m[1])
		}
	case "env":
		if regexp.MustCompile(`^-w GOPROXY=https://[\w.]+,direct$`).MatchString(strings.Join(args[1:], " ")) {
			return nil
		}
	case "run":
		return r.goRun(args[1], args[2:])
	case "test":
		return r.goTest(args[1:])
	}
	return fmt.Errorf("go %s: nobody knows whether that can be typed", args[0])
}

// goDoc checks ./zkdiscovery, or github.com/…/zktest.Server.
func (r *reader) goDoc(name string) error {
	if rest, ok := strings.CutPrefix(name, "github.com/holdfast-go/holdfast/"); ok {
		name = rest
	}
	dir, symbol := name, ""
	if at := strings.LastIndexByte(name, '.'); at > strings.LastIndexByte(name, '/') && at > 0 {
		dir, symbol = name[:at], name[at+1:]
	}
	p, err := r.packageAt(dir)
	if err == nil && symbol != "" && !p.names[symbol] {
		return fmt.Errorf("%s has no %s", dir, symbol)
	}
	return err
}

// each checks paths that end in a version.
func (r *reader) each(args []string, check func(string) error) error {
	var errs []error
	for _, arg := range args {
		name, version, _ := strings.Cut(arg, "@")
		if version != "latest" && !regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(version) {
			errs = append(errs, fmt.Errorf("%s has no version", arg))
		}
		errs = append(errs, check(name))
	}
	return errors.Join(errs...)
}

func (r *reader) packageAt(name string) (*declared, error) {
	if p := r.code.packages[r.at(name)]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("no Go files in %s", r.at(name))
}

func (r *reader) commandAt(name string) error {
	if p, err := r.packageAt(name); err != nil || p.command {
		return err
	}
	return fmt.Errorf("%s is no command", r.at(name))
}

func (r *reader) goRun(name string, args []string) error {
	if dir := r.at(name); r.made[dir] { // the reader's own: the page has the program, and tells where to save it
		if !strings.Contains(r.page.text, "`"+strings.TrimPrefix(name, "./")+"/main.go`") {
			return fmt.Errorf("the page does not say what %s has", dir)
		}
		return nil
	}
	if len(r.made) > 0 {
		return fmt.Errorf("the page does not say what %s has", r.at(name))
	}
	if err := r.commandAt(name); err != nil {
		return err
	}
	left, _, err := takeFlags(r.at(name), r.code.packages[r.at(name)].flags, args)
	if len(left) > 0 {
		return errors.Join(err, fmt.Errorf("%s takes no argument %s", r.at(name), left[0]))
	}
	return err
}

// flagsOfGoTest are those of go help testflag and go help build that a page may use; true: without a value.
var flagsOfGoTest = map[string]bool{
	"bench": false, "benchmem": true, "benchtime": false, "count": false, "failfast": true, "fuzz": false, "fuzztime": false, "race": true,
	"run": false, "short": true, "shuffle": false, "skip": false, "timeout": false, "v": true,
}

func (r *reader) goTest(args []string) error {
	all := make(map[string]bool) // of every package: which words are packages depends on which flags have a value
	for _, p := range r.code.packages {
		maps.Copy(all, p.testing)
	}
	maps.Copy(all, flagsOfGoTest)
	names, values, err := takeFlags("go test", all, args)
	if err != nil {
		return err
	}
	var errs []error
	var dirs, tests []string
	for _, name := range names {
		below, found := r.packagesAt(name)
		if !found {
			return fmt.Errorf("no Go files in %s", r.at(name))
		}
		dirs = append(dirs, below...)
	}
	where := strings.Join(names, " ")
	for _, dir := range dirs {
		tests = append(tests, r.code.packages[dir].tests...)
	}
	for name := range values {
		if _, general := flagsOfGoTest[name]; !general && !slices.ContainsFunc(dirs, func(dir string) bool { _, ok := r.code.packages[dir].testing[name]; return ok }) {
			errs = append(errs, fmt.Errorf("%s knows no flag -%s", where, name))
		}
	}
	for name, kind := range map[string]string{"run": "^(Test|Fuzz|Example)", "bench": "^Benchmark", "fuzz": "^Fuzz"} {
		pattern, _, _ := strings.Cut(values[name], "/")
		if pattern == "" || pattern == "^$" {
			continue
		}
		matches, err := regexp.Compile(pattern)
		if err != nil {
			errs = append(errs, err)
		} else if of := regexp.MustCompile(kind); !slices.ContainsFunc(tests, func(test string) bool { return of.MatchString(test) && matches.MatchString(test) }) {
			errs = append(errs, fmt.Errorf("nothing in %s is matched by -%s %s", where, name, pattern))
		}
	}
	return errors.Join(errs...)
}

// packagesAt are the directories that a package's name stands for.
func (r *reader) packagesAt(name string) (dirs []string, found bool) {
	base, all := strings.CutSuffix(name, "/...")
	for dir := range r.code.packages {
		if dir == r.at(base) || all && (r.at(base) == "." || strings.HasPrefix(dir, r.at(base)+"/")) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, len(dirs) > 0
}

// takeFlags takes the flags out of arguments. Known says which there are, and which need no value.
func takeFlags(where string, known map[string]bool, args []string) (left []string, values map[string]string, err error) {
	values = make(map[string]string)
	var errs []error
	for i := 0; i < len(args); i++ {
		flag, isFlag := strings.CutPrefix(args[i], "-")
		if !isFlag {
			left = append(left, args[i])
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(flag, "-"), "=")
		alone, ok := known[name]
		switch {
		case name == "h" || name == "help":
			continue
		case !ok:
			errs = append(errs, fmt.Errorf("%s knows no flag -%s", where, name))
		case !given && !alone:
			if i++; i == len(args) {
				errs = append(errs, fmt.Errorf("-%s has no value", name))
				continue
			}
			value = args[i]
		}
		values[name] = value
	}
	return left, values, errors.Join(errs...)
}
