package main

import (
	"maps"
	"slices"
)

// changed is a difference between two lists.
type changed struct{ kind, key, metadata string }

// compare returns what has come, gone and changed from was to is, by key.
func compare(was, is map[string]string) []changed {
	var all []changed
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if _, there := is[key]; !there {
			all = append(all, changed{"went", key, was[key]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(is)) {
		switch before, there := was[key]; {
		case !there:
			all = append(all, changed{"came", key, is[key]})
		case before != is[key]:
			all = append(all, changed{"changed", key, is[key]})
		}
	}
	return all
}
