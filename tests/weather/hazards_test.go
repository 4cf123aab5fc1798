package weather

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/tests/contract"
)

// docs/hazards.md and docs/zh/hazards.md name the test of each hazard. One that was renamed is to be renamed there.
func TestEveryTestThatTheHazardsNameExists(t *testing.T) {
	known := make(map[string]bool)
	for _, c := range contract.Checks() {
		known["contract/"+c.Name] = true
	}
	test, check := regexp.MustCompile(`(?m)^func (Test\w+)\(`), regexp.MustCompile(`(?:violate|bad|complain|isLiveAndEqual)\("(\w+)"`)
	err := filepath.WalkDir("../..", func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range test.FindAllSubmatch(text, -1) {
			known[string(m[1])] = true
		}
		for _, m := range check.FindAllSubmatch(text, -1) {
			known["weather/"+string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"docs/hazards.md", "docs/zh/hazards.md"} {
		page, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile("`((?:Test|contract/|weather/)\\w+)`").FindAllSubmatch(page, -1)
		if len(named) < 80 {
			t.Errorf("%s names %d tests", name, len(named))
		}
		for _, m := range named {
			if !known[string(m[1])] {
				t.Errorf("%s: there is no %s", name, m[1])
			}
		}
	}
}
