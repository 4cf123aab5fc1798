package zktest

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDirectChangesFireWatches(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		w.watch(t, "/a")
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(s.Create("/a", []byte("1")))
		w.mustNotify(t, eventCreated, "/a")
		w.watch(t, "/a")
		check(s.Set("/a", []byte("2")))
		w.mustNotify(t, eventDataChanged, "/a")
		w.must(t, &request{kind: OpGetChildren, path: "/a", watch: true})
		check(s.Put("/a/b/c", []byte("3")))
		w.mustNotify(t, eventChildrenChanged, "/a")
		w.watch(t, "/a/b/c")
		check(s.Put("/a/b/c", []byte("4")))
		w.mustNotify(t, eventDataChanged, "/a/b/c")
		w.watch(t, "/a/b/c")
		check(s.Delete("/a/b/c"))
		w.mustNotify(t, eventDeleted, "/a/b/c")
	})
}

func TestDirectAccessShowsTheTree(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		mustPut(t, s, "/a/c", "/a/b", "/d")
		w := join(t, s)
		w.must(t, newEphemeral("/e"))
		tree := s.Tree()
		if got, want := slices.Sorted(maps.Keys(tree)), []string{"/", "/a", "/a/b", "/a/c", "/d", "/e"}; !slices.Equal(got, want) {
			t.Errorf("tree %v, want %v", got, want)
		}
		children, err := s.Children("/a")
		if want := []string{"b", "c"}; err != nil || !slices.Equal(children, want) {
			t.Errorf("children %v %v, want %v", children, err, want)
		}
		n, err := s.Get("/e")
		if err != nil || string(n.Data) != "x" || n.Stat.EphemeralOwner != w.session {
			t.Errorf("%+v %v", n, err)
		}
		if diff := cmp.Diff(tree["/e"], n); diff != "" {
			t.Error(diff)
		}
		n.Data[0], tree["/a/b"].Data[0] = 'y', 'y'
		for _, path := range []string{"/e", "/a/b"} {
			if n, _ := s.Get(path); string(n.Data) != "x" {
				t.Errorf("what Get or Tree has returned is not a copy: %s is %q", path, n.Data)
			}
		}
	})
}

func TestDirectAccessMayEverythingAtAnyTime(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		w := join(t, s)
		w.must(t, &request{kind: OpCreate, path: "/private", acl: []ACL{{permAll, schemeDigest, "ann:hash"}}})
		s.Stop()
		if err := s.Set("/private", []byte("set")); err != nil {
			t.Error(err)
		}
		if err := s.Delete("/private"); err != nil {
			t.Error(err)
		}
	})
}

func TestDirectAccessFailsWithCodes(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server) {
		mustPut(t, s, "/a/b")
		_, getErr := s.Get("/none")
		_, childrenErr := s.Children("/none")
		for _, c := range []struct {
			name string
			err  error
			want Code
		}{
			{"create twice", s.Create("/a", nil), CodeNodeExists},
			{"create without parent", s.Create("/none/a", nil), CodeNoNode},
			{"set", s.Set("/none", nil), CodeNoNode},
			{"delete", s.Delete("/none"), CodeNoNode},
			{"delete a parent", s.Delete("/a"), CodeNotEmpty},
			{"get", getErr, CodeNoNode},
			{"children", childrenErr, CodeNoNode},
			{"put a relative path", s.Put("a/b", nil), CodeBadArguments},
			{"put an empty path", s.Put("", nil), CodeBadArguments},
			{"put an illegal path", s.Put("/x//y", nil), CodeBadArguments},
		} {
			if !errors.Is(c.err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
			}
		}
		if n := len(s.Tree()); n != 3 {
			t.Errorf("%d nodes: what fails must leave nothing", n)
		}
	})
}
