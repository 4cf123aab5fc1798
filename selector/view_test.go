package selector

import (
	"maps"
	"slices"
	"testing"
)

func listed(s *Selector) []string { return slices.Sorted(maps.Keys(s.table.Load().byKey)) }

func servers(keys ...string) map[string]string {
	m := map[string]string{}
	for _, key := range keys {
		m[key] = ""
	}
	return m
}

// The members of a pool receive the same lists, each at its own time.
func TestAListThatComesLateIsNotNews(t *testing.T) {
	s := mustNew(t)
	fast, slow := s.newView(), s.newView()
	want := func(keys ...string) {
		t.Helper()
		if got := listed(s); !slices.Equal(got, keys) {
			t.Errorf("the selector has %v, want %v", got, keys)
		}
	}
	fast.UpdateServer(servers("a"))
	slow.UpdateServer(servers("a"))
	fast.UpdateServer(servers("a", "b"))
	fast.UpdateServer(servers("b"))
	want("b")
	slow.UpdateServer(servers("a", "b")) // a is long gone
	want("b")
	slow.UpdateServer(servers("b"))
	want("b")

	// Going back is news, from whomever it comes, and late from the other.
	slow.UpdateServer(servers("a"))
	want("a")
	fast.UpdateServer(servers("a"))
	want("a")
	fast.UpdateServer(servers("a", "c"))
	want("a", "c")

	// A member that is just being made has yet to hear of anybody, and then may have an older list.
	young := s.newView()
	young.UpdateServer(servers())
	want("a", "c")
	young.UpdateServer(servers("a"))
	want("a", "c")
	young.UpdateServer(servers("a", "c"))
	young.UpdateServer(servers())
	want()
}

func TestTheListOfWhoeverIsLeftIsTheSelectors(t *testing.T) {
	s := mustNew(t)
	ahead, behind := s.newView(), s.newView()
	for _, v := range []*view{ahead, behind} {
		v.UpdateServer(servers("a"))
	}
	ahead.UpdateServer(servers("a", "b"))
	ahead.close()
	if got := listed(s); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the selector has %v, want that of the one that is left", got)
	}
	ahead.UpdateServer(servers("z"))
	if got := listed(s); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the selector has %v, from an XClient that is closed", got)
	}
	behind.close()
	if got := listed(s); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the selector has %v after the last has gone, want the last list", got)
	}
}

func TestMetadataIsPartOfTheList(t *testing.T) {
	s := mustNew(t)
	a, b := s.newView(), s.newView()
	for _, v := range []*view{a, b} {
		v.UpdateServer(map[string]string{"a": "weight=1"})
	}
	a.UpdateServer(map[string]string{"a": "weight=2"})
	if b.UpdateServer(map[string]string{"a": "weight=2"}); b.seen != a.seen || a.seen != 1 {
		t.Errorf("the views have seen %d and %d lists more, want 1", a.seen, b.seen)
	}
}

func TestOneThatIsFarBehindIsBelieved(t *testing.T) {
	s := mustNew(t)
	fast, slow := s.newView(), s.newView()
	slow.UpdateServer(servers("0"))
	for i := range 3 * recentLists {
		fast.UpdateServer(servers(string(rune('A'+i%26)), string(rune('a'+i/26))))
	}
	slow.UpdateServer(servers("0"))
	if got := listed(s); !slices.Equal(got, []string{"0"}) {
		t.Errorf("the selector has %v", got)
	}
}
