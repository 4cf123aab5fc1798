package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

func textOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const operating = "../../example/operating/"

// The rules and the dashboard speak of metrics by name. One that is renamed would leave an alert that never fires.
func TestRulesAndDashboardSpeakOfMetricsThatThereAre(t *testing.T) {
	known := make(map[string]Metric)
	for _, m := range Table() {
		known[m.Prometheus()] = m
	}
	words := regexp.MustCompile(`\bholdfast_[a-z_]+`)
	for _, file := range []string{"alerts.yaml", "dashboard.json"} {
		names := words.FindAllString(textOf(t, operating+file), -1)
		if len(names) < 10 {
			t.Errorf("%s: %d metrics", file, len(names))
		}
		for _, name := range names {
			if _, there := known[name]; !there {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
}

func TestTheDashboardAsksForItsDataSource(t *testing.T) {
	var board struct {
		Templating struct{ List []struct{ Name, Type string } }
		Panels     []struct {
			Title      string
			Datasource struct{ UID string }
			Targets    []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(textOf(t, operating+"dashboard.json")), &board); err != nil {
		t.Fatal(err)
	}
	if v := board.Templating.List[0]; v.Name != "datasource" || v.Type != "datasource" {
		t.Errorf("%+v", v)
	}
	for _, p := range board.Panels {
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 || !strings.Contains(p.Targets[0].Expr, "holdfast_") {
			t.Errorf("%+v", p)
		}
	}
	if len(board.Panels) < 8 {
		t.Errorf("%d panels", len(board.Panels))
	}
}

// Whoever is woken by an alert finds its name in the page that says what to do.
func TestEveryAlertIsInThePage(t *testing.T) {
	page := textOf(t, "../../docs/operating.md")
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(textOf(t, operating+"alerts.yaml"), -1) {
		if !strings.Contains(page, alert[1]) {
			t.Errorf("%s is not in docs/operating.md", alert[1])
		}
	}
	for _, name := range regexp.MustCompile(`\bholdfast_[a-z_]+`).FindAllString(page, -1) {
		found := false
		for _, m := range Table() {
			found = found || m.Prometheus() == name
		}
		if !found {
			t.Errorf("docs/operating.md: there is no metric %s", name)
		}
	}
}
