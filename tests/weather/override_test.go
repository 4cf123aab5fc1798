package weather

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// overrides are those that operators have written.
type overrides struct {
	mu sync.Mutex
	of map[string][]map[string]string // by service
}

func (o *overrides) all(service string) []map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of[service]
}

// names reports whether an override has an instance with that metadata.
func (o *overrides) names(key, value string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, lists := range o.of {
		for _, list := range lists {
			if v, ok := list[key]; ok && v == value {
				return true
			}
		}
	}
	return false
}

func (o *overrides) add(service string, list map[string]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of[service] = append(o.of[service], list)
}

// override writes an operator's list to path and returns how it is taken away.
func (r *run) override(path, service string, n uint64) (undo func()) {
	list := map[string]string{}
	type server struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	doc := struct {
		Comment string   `json:"comment"`
		Empty   bool     `json:"empty,omitempty"`
		Servers []server `json:"servers"`
	}{Comment: "INC-4711", Servers: []server{}}
	for i := range n % 4 {
		k := instance(int((n/4 + i) % instances))
		list[k] = "override=1"
	}
	for k, v := range list {
		doc.Servers = append(doc.Servers, server{k, v})
	}
	doc.Empty = len(list) == 0
	text, _ := json.Marshal(doc)
	bad := n%7 == 0
	if bad {
		text = text[:len(text)-3]
	} else {
		r.overrides.add(service, list)
	}
	r.note("an operator writes %s: %s", path, text)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return func() {}
	}
	if n%3 == 0 { // with an editor that replaces the file
		temp := filepath.Join(filepath.Dir(r.disks[0].dir), "edited")
		if os.WriteFile(temp, text, 0o600) != nil || os.Rename(temp, path) != nil {
			_ = os.WriteFile(path, text, 0o600)
		}
	} else {
		_ = os.WriteFile(path, text, 0o600)
	}
	return func() {
		r.note("the operator removes %s", path)
		_ = os.Remove(path)
		// A disk that was away, or had another over it, may have a copy.
		_ = os.Remove(strings.Replace(path, "/cache/", "/cache-away/", 1))
	}
}
