package zktest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/tests/seeds"
)

// The tables below say in words what the comparison with a real server has shown, and hold where there is none.

// Shorthands for requests: a world-writable node unless said otherwise.
func create(path string, flags int32) request {
	return request{kind: OpCreate2, path: path, data: []byte("x"), acl: openACL(), flags: flags}
}

func remove(path string, version int32) request {
	return request{kind: OpDelete, path: path, version: version}
}

func set(path string, version int32) request {
	return request{kind: OpSetData, path: path, data: []byte("new"), version: version}
}

func check(path string, version int32) request {
	return request{kind: OpCheck, path: path, version: version}
}

func multi(parts ...request) request { return request{kind: OpMulti, parts: parts} }

const (
	persistent                = 0
	ephemeral                 = 1
	sequential                = 2
	ephemeralSequential       = 3
	containerFlag             = 4
	testSession         int64 = 7
)

// grow returns a tree after requests that have to succeed. The n-th of them is transaction n, at n seconds.
func grow(t *testing.T, requests ...request) *tree {
	t.Helper()
	tr := newTree(Version38)
	for i, r := range requests {
		if res, _ := tr.apply(&r, caller{session: testSession}, int64(i+1)*1000); res.code != CodeOK {
			t.Fatalf("%v %v: %v", r.kind, &r, res.code)
		}
	}
	return tr
}

func TestWriteFailsWith(t *testing.T) {
	digest := func(user string) []ACL {
		id, _ := authenticate(schemeDigest, []byte(user), remoteIP(pipeEnd(t)))
		return []ACL{{permAll, id.scheme, id.id}}
	}
	private := request{kind: OpCreate, path: "/private", acl: digest("ann:secret")}
	for _, c := range []struct {
		name  string
		given []request
		when  request
		code  Code
	}{
		{"creating what exists", []request{create("/a", persistent)}, create("/a", persistent), CodeNodeExists},
		{"creating without a parent", nil, create("/a/b", persistent), CodeNoNode},
		{"creating below an ephemeral", []request{create("/a", ephemeral)}, create("/a/b", persistent), CodeNoChildrenForEphemerals},
		{"creating without an ACL", nil, request{kind: OpCreate, path: "/a"}, CodeInvalidACL},
		{"creating with an ACL for auth and no auth", nil, request{kind: OpCreate, path: "/a", acl: []ACL{{permAll, "auth", ""}}}, CodeInvalidACL},
		{"creating with a time to live", nil, create("/a", 5), CodeUnimplemented},
		{"creating with flags that are none", nil, create("/a", 7), CodeBadArguments},
		{"creating a relative path", nil, create("a", persistent), CodeBadArguments},
		{"creating an empty path", nil, create("", persistent), CodeBadArguments},
		{"creating with an empty name", []request{create("/a", persistent)}, create("/a/", persistent), CodeBadArguments},
		{"creating the parent of itself", nil, create("/..", persistent), CodeBadArguments},
		{"creating the root", nil, create("/", persistent), CodeNodeExists},
		{"creating below what is another's", []request{private}, create("/private/a", persistent), CodeNoAuth},
		{"deleting what is not there", nil, remove("/a", -1), CodeNoNode},
		{"deleting another version", []request{create("/a", persistent)}, remove("/a", 1), CodeBadVersion},
		{"deleting a parent", []request{create("/a", persistent), create("/a/b", persistent)}, remove("/a", -1), CodeNotEmpty},
		{"deleting another version of a parent", []request{create("/a", persistent), create("/a/b", persistent)}, remove("/a", 1), CodeBadVersion},
		{"deleting the root", nil, remove("/", -1), CodeBadArguments},
		{"deleting what is ZooKeeper's own", nil, remove("/zookeeper/quota", -1), CodeBadArguments},
		{"setting what is not there", nil, set("/a", -1), CodeNoNode},
		{"setting another version", []request{create("/a", persistent)}, set("/a", 1), CodeBadVersion},
		{"setting what is another's", []request{private}, set("/private", -1), CodeNoAuth},
		{"setting the ACL of what is another's", []request{private}, request{kind: OpSetACL, path: "/private", acl: openACL(), version: -1}, CodeNoAuth},
		{"setting another version of the ACL", []request{create("/a", persistent)}, request{kind: OpSetACL, path: "/a", acl: openACL(), version: 3}, CodeBadVersion},
		{"checking another version", []request{create("/a", persistent)}, check("/a", 1), CodeBadVersion},
		{"a kind that is no write", nil, request{kind: OpGetData, path: "/"}, CodeUnimplemented},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := grow(t, c.given...)
			before := tr.clone()
			res, events := tr.apply(&c.when, caller{session: testSession}, 99)
			if res.code != c.code || len(events) != 0 {
				t.Errorf("%v: %v with %d events, want %v with none", &c.when, res.code, len(events), c.code)
			}
			if tr.zxid != before.zxid+1 {
				t.Errorf("zxid %d after %d: a write that fails takes one up", tr.zxid, before.zxid)
			}
			if diff := diffTrees(before, tr); diff != "" {
				t.Errorf("the tree has changed:\n%s", diff)
			}
		})
	}
}

func TestStatAfter(t *testing.T) {
	for _, c := range []struct {
		name  string
		given []request
		path  string
		want  Stat
	}{
		{
			"its creation",
			[]request{create("/a", persistent)},
			"/a",
			Stat{Czxid: 1, Mzxid: 1, Pzxid: 1, Ctime: 1000, Mtime: 1000, DataLength: 1},
		},
		{
			"a change of its data",
			[]request{create("/a", persistent), set("/a", 0)},
			"/a",
			Stat{Czxid: 1, Mzxid: 2, Pzxid: 1, Ctime: 1000, Mtime: 2000, Version: 1, DataLength: 3},
		},
		{
			"a change of its ACL",
			[]request{create("/a", persistent), {kind: OpSetACL, path: "/a", acl: openACL(), version: 0}},
			"/a",
			Stat{Czxid: 1, Mzxid: 1, Pzxid: 1, Ctime: 1000, Mtime: 1000, Aversion: 1, DataLength: 1},
		},
		{
			"the creation of a child",
			[]request{create("/a", persistent), create("/a/b", persistent)},
			"/a",
			Stat{Czxid: 1, Mzxid: 1, Pzxid: 2, Ctime: 1000, Mtime: 1000, Cversion: 1, NumChildren: 1, DataLength: 1},
		},
		{
			"the deletion of a child",
			[]request{create("/a", persistent), create("/a/b", persistent), remove("/a/b", -1)},
			"/a",
			Stat{Czxid: 1, Mzxid: 1, Pzxid: 3, Ctime: 1000, Mtime: 1000, Cversion: 2, DataLength: 1},
		},
		{
			"a change of a child's data",
			[]request{create("/a", persistent), create("/a/b", persistent), set("/a/b", -1)},
			"/a",
			Stat{Czxid: 1, Mzxid: 1, Pzxid: 2, Ctime: 1000, Mtime: 1000, Cversion: 1, NumChildren: 1, DataLength: 1},
		},
		{
			"its creation for a session",
			[]request{create("/a", ephemeral)},
			"/a",
			Stat{Czxid: 1, Mzxid: 1, Pzxid: 1, Ctime: 1000, Mtime: 1000, EphemeralOwner: testSession, DataLength: 1},
		},
		{
			"its creation as a container",
			[]request{{kind: OpCreateContainer, path: "/a", acl: openACL(), flags: containerFlag}},
			"/a",
			Stat{Czxid: 1, Mzxid: 1, Pzxid: 1, Ctime: 1000, Mtime: 1000},
		},
		{
			"two creations of children in a multi",
			[]request{create("/a", persistent), multi(create("/a/b", persistent), create("/a/c", persistent))},
			"/a",
			Stat{Czxid: 1, Mzxid: 1, Pzxid: 2, Ctime: 1000, Mtime: 1000, Cversion: 2, NumChildren: 2, DataLength: 1},
		},
		{"nothing at all", nil, "/", Stat{Cversion: -1, NumChildren: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := grow(t, c.given...).read(&request{kind: OpExists, path: c.path}, caller{})
			if diff := cmp.Diff(c.want, got.stat); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
		})
	}
}

func TestSequenceNumbersCountCreations(t *testing.T) {
	tr := grow(t, create("/a", persistent), create("/a/x", persistent), remove("/a/x", -1))
	for _, want := range []string{"/a/s-0000000001", "/a/s-0000000002", "/a/s-0000000003"} {
		r := create("/a/s-", sequential)
		if res, _ := tr.apply(&r, caller{}, 0); res.path != want {
			t.Fatalf("%s, want %s", res.path, want)
		}
	}
	r := create("/a/", ephemeralSequential)
	if res, _ := tr.apply(&r, caller{session: testSession}, 0); res.path != "/a/0000000004" || res.stat.EphemeralOwner != testSession {
		t.Errorf("%+v", res)
	}
}

func TestMultiDoesAllOrNothing(t *testing.T) {
	tr := grow(t, create("/a", persistent), create("/e", ephemeral), create("/a/c", persistent), set("/a", -1))
	before := tr.clone()
	r := multi(create("/b", persistent), create("/b/c", ephemeral), set("/a", 1), remove("/e", 0), remove("/a/c", 0), create("/a/s", sequential),
		check("/a", 0), create("/d", persistent))
	res, events := tr.apply(&r, caller{session: testSession}, 99)
	var codes []Code
	for _, p := range res.parts {
		codes = append(codes, p.code)
	}
	want := []Code{CodeOK, CodeOK, CodeOK, CodeOK, CodeOK, CodeOK, CodeBadVersion, CodeRuntimeInconsistency}
	if !slices.Equal(codes, want) || res.code != CodeOK || len(events) != 0 {
		t.Errorf("codes %v with %d events, want %v with none", codes, len(events), want)
	}
	if diff := diffTrees(before, tr); diff != "" {
		t.Errorf("the tree has changed:\n%s", diff)
	}

	r = multi(remove("/e", 0), create("/e", ephemeral), set("/e", 0), check("/e", 1))
	res, events = tr.apply(&r, caller{session: 8}, 99)
	if e := tr.nodes["/e"]; res.code != CodeOK || e.owner != 8 || e.czxid != tr.zxid {
		t.Errorf("takeover: %+v, node %+v", res, e)
	}
	wantEvents := []string{"2 /e", "4 /", "1 /e", "4 /", "3 /e"}
	if got := eventStrings(events); !slices.Equal(got, wantEvents) {
		t.Errorf("events %v, want %v", got, wantEvents)
	}
	if len(tr.ephemerals[testSession]) != 0 || len(tr.ephemerals[8]) != 1 {
		t.Errorf("ephemerals %v", tr.ephemerals)
	}
}

func TestClosedSessionTakesItsNodesAlong(t *testing.T) {
	tr := grow(t, create("/dir", persistent), create("/dir/b", ephemeral), create("/dir/a", ephemeral), create("/stays", persistent))
	zxid := tr.zxid
	events := tr.closeSession(testSession)
	want := []string{"2 /dir/a", "4 /dir", "2 /dir/b", "4 /dir"}
	if got := eventStrings(events); !slices.Equal(got, want) || tr.zxid != zxid+1 {
		t.Errorf("events %v at zxid +%d, want %v at +1", got, tr.zxid-zxid, want)
	}
	if st := tr.nodes["/dir"].stat(); st.NumChildren != 0 || st.Pzxid != tr.zxid || st.Cversion != 4 {
		t.Errorf("the parent: %+v", st)
	}
	if tr.nodes["/stays"] == nil || len(tr.ephemerals) != 0 {
		t.Error("more or less is gone than was the session's")
	}
}

func TestContainerGoesOnceItHasLostItsLastChild(t *testing.T) {
	container := func(path string) request {
		return request{kind: OpCreateContainer, path: path, acl: openACL(), flags: containerFlag}
	}
	tr := grow(t, container("/never"), container("/full"), create("/full/a", persistent), container("/empty"), create("/empty/a", persistent),
		remove("/empty/a", -1), container("/gone"), remove("/gone", -1))
	want := []string{"2 /empty", "4 /"}
	if got := eventStrings(tr.sweepContainers()); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	if got := slices.Sorted(maps.Keys(tr.containers)); !slices.Equal(got, []string{"/full", "/never"}) {
		t.Errorf("containers left: %v", got)
	}
}

func TestACLMaskHidesHashesFromReaders(t *testing.T) {
	ann := identity{schemeDigest, "ann:hash"}
	tr := grow(t, request{kind: OpCreate, path: "/a", acl: []ACL{{permAll, ann.scheme, ann.id}, {permRead, "world", "anyone"}}})
	for _, c := range []struct {
		ids  []identity
		want string
	}{{nil, "ann:x"}, {[]identity{ann}, "ann:hash"}} {
		if res := tr.read(&request{kind: OpGetACL, path: "/a"}, caller{ids: c.ids}); res.acl[0].ID != c.want {
			t.Errorf("%v sees %v, want %s", c.ids, res.acl, c.want)
		}
	}
}

// A clone is what Rollback is made of: neither may see what happens to the other, whatever that is.
func TestCloneSharesNothingThatChanges(t *testing.T) {
	seed := seeds.One(t.Name())
	rnd := rand.New(rand.NewPCG(seed, 0))
	tr := newTree(Version38)
	paths := []string{"/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/z"}
	random := func(tr *tree) {
		p := pick(rnd, paths...)
		r := pick(rnd, create(p, persistent), create(p, ephemeral), create(p+"/s", sequential), remove(p, -1), set(p, -1),
			request{kind: OpCreateContainer, path: p, acl: openACL()}, request{kind: OpSetACL, path: p, acl: openACL(), version: -1},
			multi(create(p, persistent), remove(pick(rnd, paths...), -1)))
		tr.apply(&r, caller{session: testSession}, 0)
		if rnd.IntN(20) == 0 {
			tr.closeSession(testSession)
		}
	}
	for range 300 {
		c := tr.clone()
		if diff := diffTrees(tr, c); diff != "" {
			t.Fatalf("seed %d: a clone differs:\n%s", seed, diff)
		}
		kept := dump(tr)
		random(c)
		if diff := cmp.Diff(kept, dump(tr)); diff != "" {
			t.Fatalf("seed %d: a change of the clone shows:\n%s", seed, diff)
		}
		kept = dump(c)
		random(tr)
		if diff := cmp.Diff(kept, dump(c)); diff != "" {
			t.Fatalf("seed %d: a change shows in the clone:\n%s", seed, diff)
		}
	}
}

func eventStrings(events []event) []string {
	var list []string
	for _, ev := range events {
		list = append(list, fmt.Sprintf("%d %s", ev.kind, ev.path))
	}
	return list
}

func diffTrees(a, b *tree) string { return cmp.Diff(dump(a), dump(b)) }

// dump is everything in a tree but its zxid, sorted.
func dump(t *tree) []string {
	var list []string
	for path, n := range t.nodes {
		children := slices.Sorted(slices.Values(n.children.order))
		for i, name := range n.children.order {
			if n.children.at[name] != i {
				children = append(children, "misplaced: "+name)
			}
		}
		list = append(list, fmt.Sprintf("%q: %q %v %+v created %d [%s]", path, n.data, n.acl, n.stat(), n.created, strings.Join(children, " ")))
	}
	for session, paths := range t.ephemerals {
		list = append(list, fmt.Sprintf("ephemerals of %d: %v", session, slices.Sorted(maps.Keys(paths))))
	}
	list = append(list, fmt.Sprintf("containers: %v", slices.Sorted(maps.Keys(t.containers))))
	slices.Sort(list)
	return list
}
