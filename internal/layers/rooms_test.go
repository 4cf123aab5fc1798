package layers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// house is what DESIGN.md says in the table "The rooms".
type house struct {
	// mayImport says for each directory what its non-test code may import besides the standard library. A directory ending in /... speaks for
	// itself and for all below that have no row of their own; an import ending in ... allows all that begin so. Paths beginning with ./ are
	// the module's.
	mayImport map[string][]string
	modules   []string // directories that are modules of their own
}

var (
	quoted = regexp.MustCompile("`([^`\n]+)`")
	name   = regexp.MustCompile(`^\w+$`)
)

// rooms reads the table.
func rooms(page string) (house, error) {
	h := house{mayImport: make(map[string][]string)}
	_, page, found := strings.Cut(page, "\n| room |")
	page, _, ended := strings.Cut(page, "\n\n")
	if !found || !ended {
		return h, errors.New("there is no table of rooms")
	}
	var errs []error
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		dir := quoted.FindStringSubmatch(cells[0])
		if dir == nil {
			continue // the heading
		}
		last := strings.TrimSpace(cells[len(cells)-1])
		switch imports := quoted.FindAllStringSubmatch(last, -1); {
		case len(cells) != 4:
			errs = append(errs, fmt.Errorf("%s has %d cells, want 4", dir[1], len(cells)))
		case last == "a module of its own":
			h.modules = append(h.modules, dir[1])
		case strings.TrimSpace(quoted.ReplaceAllString(last, "")) != "":
			errs = append(errs, fmt.Errorf("%s may import %q: that is no list of paths", dir[1], last))
		default:
			h.mayImport[dir[1]] = []string{}
			for _, i := range imports {
				h.mayImport[dir[1]] = append(h.mayImport[dir[1]], i[1])
			}
		}
	}
	return h, errors.Join(errs...)
}

func readDesign(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func readHouse(t *testing.T) house {
	t.Helper()
	h, err := rooms(readDesign(t))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A row whose directory is gone would go on allowing what nobody needs.
func TestEveryRoomIsThere(t *testing.T) {
	h := readHouse(t)
	if len(h.mayImport) < 18 || len(h.modules) < 4 {
		t.Errorf("only %d rooms and %d modules of their own: has the table another form now?", len(h.mayImport), len(h.modules))
	}
	for dir := range h.mayImport {
		if _, err := os.Stat("../../" + strings.TrimSuffix(dir, "/...")); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat("../../" + dir + "/go.mod"); err == nil && dir != "." {
			t.Errorf("%s is a module of its own", dir)
		}
	}
	for _, dir := range h.modules {
		if _, err := os.Stat("../../" + dir + "/go.mod"); err != nil {
			t.Error(err)
		}
	}
}

func TestATableOfRoomsThatCannotBeReadIsAnError(t *testing.T) {
	for page, want := range map[string]string{
		"":                                 "there is no table of rooms",
		"\n| room | |\n":                   "there is no table of rooms",
		"\n| room |\n| `a` | what | |\n\n": "a has 3 cells, want 4",
		"\n| room |\n| `a` | what | file | everything |\n\n":   `a may import "everything": that is no list of paths`,
		"\n| room |\n| `a` | what | file | `./b` and c |\n\n":  "a may import \"`./b` and c\": that is no list of paths",
		"\n| room |\n| `a` | what | file | |\n| `b` | | |\n\n": "b has 3 cells, want 4",
	} {
		if _, err := rooms(page); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", page, err, want)
		}
	}
}

// What the guide says of tests, files and names is looked for by its readers.
func TestTheGuidesNameOnlyWhatThereIs(t *testing.T) {
	var files, code strings.Builder
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fmt.Fprintln(&files, "/"+name)
		if path.Ext(name) == ".go" {
			src, err := fs.ReadFile(root, name)
			code.Write(src)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	words := make(map[string]bool)
	for _, w := range regexp.MustCompile(`\w+`).FindAllString(code.String(), -1) {
		words[w] = true
	}
	for _, guide := range []string{"DESIGN.md", "CONTRIBUTING.md"} {
		text, err := os.ReadFile("../../" + guide)
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		for _, q := range quoted.FindAllStringSubmatch(string(text), -1) {
			said := q[1]
			switch _, elsewhere := notOurs[said]; {
			case elsewhere:
			case path.Ext(said) == ".go" || path.Ext(said) == ".md":
				checked++
				if !strings.Contains(files.String(), "/"+said+"\n") {
					t.Errorf("%s speaks of %s, and there is no such file", guide, said)
				}
			default:
				for part := range strings.SplitSeq(strings.TrimSuffix(said, "()"), ".") {
					if checked++; name.MatchString(part) && !words[part] {
						t.Errorf("%s speaks of %s, and nothing is called so", guide, said)
					}
				}
			}
		}
		if checked < 20 {
			t.Errorf("only %d names were found in %s", checked, guide)
		}
	}
}

// notOurs are files and names of other programs, and of versions to come.
var notOurs = map[string]struct{}{"WithStaticPermissions": {}, "list2.json": {}, "override.json": {}, "ensemble.json": {}, "renameio.NewPendingFile": {}}
