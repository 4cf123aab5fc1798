package metrics

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
)

// maxLabel is how many bytes the value of a label has at most.
const maxLabel = 256

const checksum = 1 + 16 // bytes of the checksum at its end

// Sources are what is measured, each by the name that becomes the label "name". A nil one is left out.
type Sources struct {
	// Discoveries are what New or NewTemplate has returned: each tells of all services of its connection. A clone should not be here, since asking
	// for its Status uses it, and keeps its mirror for ever.
	Discoveries map[string]*zkdiscovery.Discovery
	Plugins     map[string]*serverplugin.ZooKeeperRegisterPlugin
	Selectors   map[string]*selector.Selector
	Instances   bool // whether the Selectors' servers are told one by one, with their addresses as a label
}

// Clone returns a copy, which later changes of the maps do not reach.
func (s Sources) Clone() Sources {
	s.Discoveries, s.Plugins, s.Selectors = maps.Clone(s.Discoveries), maps.Clone(s.Plugins), maps.Clone(s.Selectors)
	return s
}

// Collect calls emit with every metric of this moment: its index in Table, its value, and those of its labels, which are valid until emit returns. It
// holds no lock meanwhile, and blocks on nothing but what the Status of each source blocks on.
func (s Sources) Collect(emit func(metric int, value float64, labels []string)) {
	for _, name := range slices.Sorted(maps.Keys(s.Discoveries)) {
		if d := s.Discoveries[name]; d != nil {
			st := d.Status()
			read(discoveryRows, 0, name, &st, emit)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Plugins)) {
		if p := s.Plugins[name]; p != nil {
			st := p.Status()
			read(pluginRows, len(discoveryRows), name, &st, emit)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Selectors)) {
		if sel := s.Selectors[name]; sel != nil {
			st := choice{sel.Status(), s.Instances}
			read(selectorRows, len(discoveryRows)+len(pluginRows), name, &st, emit)
		}
	}
}

func read[S any](rows []row[S], first int, name string, st *S, emit func(int, float64, []string)) {
	all := []string{label(name)}
	for i, r := range rows {
		r.read(st, func(value float64, labels ...string) {
			all = all[:1]
			for _, l := range labels {
				all = append(all, label(l))
			}
			emit(first+i, value, all)
		})
	}
}

// label makes the value of a label of what may come from anywhere: UTF-8, and short. What is cut or mended ends in a checksum of what it was.
func label(s string) string {
	if len(s) <= maxLabel && utf8.ValidString(s) {
		return s
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(s)) // it never fails
	valid := strings.ToValidUTF8(s[:min(len(s), maxLabel)], "\ufffd")
	valid = strings.ToValidUTF8(valid[:min(len(valid), maxLabel-checksum)], "")
	return fmt.Sprintf("%s~%016x", valid, sum.Sum64())
}
