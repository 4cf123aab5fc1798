package zktest

import (
	"slices"
	"testing"
)

func TestWatchFiresOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   []watchKey // by watchers 1, 2, 3 …
		ev    event
		told  []watcher
		again []watcher // when the same happens once more
	}{
		{"a data watch on a change", []watchKey{{watchData, "/a"}, {watchData, "/a"}, {watchData, "/b"}}, event{kind: eventDataChanged, path: "/a"}, []watcher{1, 2}, nil},
		{"a data watch on a creation", []watchKey{{watchData, "/a"}}, event{kind: eventCreated, path: "/a"}, []watcher{1}, nil},
		{"a data watch on a deletion", []watchKey{{watchData, "/a"}}, event{kind: eventDeleted, path: "/a"}, []watcher{1}, nil},
		{"a child watch on a change of the children", []watchKey{{watchChildren, "/a"}, {watchData, "/a"}}, event{kind: eventChildrenChanged, path: "/a"}, []watcher{1}, nil},
		{"a child watch on a deletion", []watchKey{{watchData, "/a"}, {watchChildren, "/a"}}, event{kind: eventDeleted, path: "/a"}, []watcher{1, 2}, nil},
		{"no child watch on a change of the data", []watchKey{{watchChildren, "/a"}}, event{kind: eventDataChanged, path: "/a"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var table watchTable
			for i, key := range c.set {
				if !table.add(watcher(i+1), key.kind, key.path) {
					t.Fatal("not new")
				}
			}
			if told := watchers(table.fire(c.ev)); !slices.Equal(told, c.told) {
				t.Errorf("told %v, want %v", told, c.told)
			}
			if again := watchers(table.fire(c.ev)); !slices.Equal(again, c.again) {
				t.Errorf("told %v again", again)
			}
			if want := len(c.set) - len(c.told); table.size != want {
				t.Errorf("%d watches left, want %d", table.size, want)
			}
		})
	}
}

func TestWatcherOfDataAndChildrenHearsOfADeletionOnce(t *testing.T) {
	var table watchTable
	table.add(1, watchData, "/a")
	table.add(1, watchChildren, "/a")
	table.add(2, watchChildren, "/a")
	if told := watchers(table.fire(event{kind: eventDeleted, path: "/a"})); !slices.Equal(told, []watcher{1, 2}) || table.size != 0 {
		t.Errorf("told %v, %d watches left", told, table.size)
	}
}

func TestWatchAskedForTwiceIsOne(t *testing.T) {
	var table watchTable
	if !table.add(1, watchData, "/a") || table.add(1, watchData, "/a") || table.size != 1 {
		t.Errorf("%d watches", table.size)
	}
	if told := watchers(table.fire(event{kind: eventDataChanged, path: "/a"})); len(told) != 1 {
		t.Errorf("told %v", told)
	}
}

func TestDroppedWatcherIsForgotten(t *testing.T) {
	var table watchTable
	for w := range watcher(4) {
		table.add(w, watchData, "/a")
		table.add(w, watchChildren, "/b")
	}
	table.drop(1)
	table.drop(1)
	table.drop(9)
	if told := watchers(table.fire(event{kind: eventDataChanged, path: "/a"})); len(told) != 3 || slices.Contains(told, 1) {
		t.Errorf("told %v", told)
	}
	for _, w := range []watcher{0, 2, 3} {
		table.drop(w)
	}
	if table.size != 0 || len(table.waiting) != 0 || len(table.of) != 0 {
		t.Errorf("left: %+v", table)
	}
}

func TestWatchThatIsRemovedFiresForTheOthersOnly(t *testing.T) {
	var table watchTable
	for _, w := range []watcher{1, 2, 3} {
		table.add(w, watchData, "/a")
	}
	table.add(2, watchChildren, "/a")
	if !table.remove(2, watchKey{watchData, "/a"}) || table.remove(2, watchKey{watchData, "/a"}) || table.remove(4, watchKey{watchData, "/a"}) {
		t.Error("removed what was not there, or not what was")
	}
	if told := watchers(table.fire(event{kind: eventDataChanged, path: "/a"})); len(told) != 2 || slices.Contains(told, 2) || table.size != 1 {
		t.Errorf("told %v, %d watches left", told, table.size)
	}
}

func watchers(list []told) (all []watcher) {
	for _, w := range list {
		all = append(all, w.watcher)
	}
	return all
}

func TestLastingWatchStaysAndARecursiveOneTellsOfAllBelow(t *testing.T) {
	var table watchTable
	table.addLasting(1, "/a", watchRecursive)
	table.addLasting(2, "/a", watchPersistent)
	table.add(3, watchChildren, "/a")
	if table.size != 3 {
		t.Errorf("%d watches, want 3", table.size)
	}
	for range 2 {
		for ev, want := range map[string][]watcher{"/a": {1, 2}, "/a/b": {1}, "/a/b/c": {1}, "/a-2": nil, "/": nil} {
			if got := watchers(table.fire(event{kind: eventDataChanged, path: ev})); !slices.Equal(got, want) {
				t.Errorf("%s tells %v, want %v", ev, got, want)
			}
		}
	}
	if got := watchers(table.fire(event{kind: eventChildrenChanged, path: "/a"})); !slices.Equal(got, []watcher{2, 3}) {
		t.Errorf("a change of the children tells %v", got)
	}
	if got := watchers(table.fire(event{kind: eventDeleted, path: "/a"})); !slices.Equal(got, []watcher{1, 2}) || table.size != 2 {
		t.Errorf("a deletion tells %v, %d watches left", got, table.size)
	}
	table.drop(1)
	table.drop(2)
	if table.size != 0 || table.recursive != 0 || len(table.waiting) != 0 || len(table.of) != 0 {
		t.Errorf("left: %+v", table)
	}
}

// Up to 3.8 a one-shot watch takes the place of a lasting one without a word (ZOOKEEPER-4466): after it has fired nobody is told any more.
func TestOneShotWatchTakesALastingOneAwayBefore39(t *testing.T) {
	for several, left := range map[bool][]watcher{false: nil, true: {1}} {
		table := watchTable{several: several}
		table.addLasting(1, "/a", watchRecursive)
		table.add(1, watchData, "/a")
		table.fire(event{kind: eventDataChanged, path: "/a"})
		if got := watchers(table.fire(event{kind: eventCreated, path: "/a/b"})); !slices.Equal(got, left) {
			t.Errorf("several modes %v: told %v, want %v", several, got, left)
		}
	}
}
