package session

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// extended runs body with a session that makes use of what the server has, and a subscription to /app.
func extended(t *testing.T, body func(t *testing.T, zk *zktest.Server, s *Session, sub *Subscription), opts ...zktest.Option) {
	t.Helper()
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Extension = Extension{true, true}
		s := connected(t, cfg)
		sub := s.Subscribe("/app")
		defer sub.Close()
		body(t, zk, s, sub)
	}, opts...)
}

var told sync.Map // of hinted: what a *Subscription had been told

// hinted wants what was told of since the last Take. want.Members is how many came or went since then.
func hinted(t *testing.T, what string, sub *Subscription, want Hints) {
	t.Helper()
	settle(0)
	got := sub.Take()
	if before, ok := told.Swap(sub, sub.Told()); ok && got.Members > 0 {
		got.Members -= before.(int) //nolint:forcetypeassert // as it was put in
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Hints{}, "Since")); diff != "" {
		t.Errorf("%s: hints (-want +got):\n%s", what, diff)
	}
}

func TestOneLastingWatchTellsOfEveryChild(t *testing.T) {
	for _, v := range []zktest.Version{zktest.Version38, zktest.Version39} {
		extended(t, func(t *testing.T, zk *zktest.Server, s *Session, sub *Subscription) {
			names := fill(t, zk, 100)
			if ext := s.State().Extension; ext != (Extension{true, true}) {
				t.Fatalf("%+v", ext)
			}
			mirrored(t, s)
			for range 3 {
				if _, err := s.Stat(t.Context(), "/app"); err != nil { // which is an exists without a watch
					t.Fatal(err)
				}
				sameWatches(t, s, zk, 1)
				must(t, zk.Set("/app/"+names[0], []byte("b")))
				hinted(t, "data", sub, Hints{Children: map[string]Change{names[0]: Changed}})
				must(t, zk.Create("/app/new", nil))
				hinted(t, "a new child", sub, Hints{Members: 1, Children: map[string]Change{"new": Changed}})
				must(t, zk.Create("/app/new/lock", nil))
				must(t, zk.Set("/app/new/lock", []byte("x")))
				must(t, zk.Delete("/app/new/lock"))
				must(t, zk.Put("/app-2/x", nil))
				must(t, zk.Delete("/app-2/x"))
				must(t, zk.Delete("/app-2"))
				hinted(t, "what is none of the service's", sub, Hints{})
				must(t, zk.Delete("/app/new"))
				hinted(t, "a child that goes", sub, Hints{Members: 1, Children: map[string]Change{"new": Gone}})
				must(t, zk.Set("/app", []byte("x")))
				hinted(t, "the path itself", sub, Hints{List: true})
			}
			sameWatches(t, s, zk, 1)
		}, zktest.WithVersion(v))
	}
}

func TestLastingWatchOutlivesItsPathAndWaitsForOneThatIsMissing(t *testing.T) {
	extended(t, func(t *testing.T, zk *zktest.Server, s *Session, sub *Subscription) {
		must(t, zk.Delete("/app"))
		if _, err := s.List(t.Context(), "/app"); !errors.Is(err, ErrNoNode) {
			t.Fatal(err)
		}
		sameWatches(t, s, zk, 1)
		for range 3 {
			must(t, zk.Create("/app", nil))
			hinted(t, "created", sub, Hints{List: true})
			must(t, zk.Create("/app/x", nil))
			hinted(t, "a child", sub, Hints{Members: 1, Children: map[string]Change{"x": Changed}})
			must(t, zk.Delete("/app/x"))
			must(t, zk.Delete("/app"))
			hinted(t, "deleted", sub, Hints{List: true, Members: 1, Children: map[string]Change{"x": Gone}})
		}
		sameWatches(t, s, zk, 1)
	})
}

// A one-shot watch on the children is another manager's, in every version: both tell, and the lasting one stays (unlike one on the data: H1).
func TestWatchOnTheChildrenLeavesTheLastingOneInPlace(t *testing.T) {
	for _, v := range []zktest.Version{zktest.Version38, zktest.Version39} {
		extended(t, func(t *testing.T, zk *zktest.Server, s *Session, sub *Subscription) {
			for i := range 3 {
				_, err := s.ListWith(t.Context(), "/app", ListOptions{Names: true})
				must(t, err)
				sameWatches(t, s, zk, 2)
				name := fmt.Sprint(i)
				must(t, zk.Create("/app/"+name, nil))
				hinted(t, "both", sub, Hints{List: true, Names: true, Members: 1, Children: map[string]Change{name: Changed}})
				sameWatches(t, s, zk, 1)
			}
		}, zktest.WithVersion(v))
	}
}

func TestThousandsAreReadInAHandfulOfRequests(t *testing.T) {
	extended(t, func(t *testing.T, zk *zktest.Server, s *Session, _ *Subscription) {
		names := fill(t, zk, 5000)
		must(t, zk.Delete("/app/"+names[17]))
		before := zk.Stats()
		_, err := s.SyncedList(t.Context(), "/app")
		must(t, err)
		nodes, err := s.Read(t.Context(), "/app", names, true)
		must(t, err)
		for i, n := range nodes {
			if gone := i == 17; n.Name != names[i] || gone != errors.Is(n.Err, ErrNoNode) || !gone && n.Stat.Czxid == 0 {
				t.Fatalf("%d: %+v, want %s", i, n, names[i])
			}
		}
		if st := zk.Stats().Since(before); st.Requests[zktest.OpMultiRead] != 10 || st.Total() > 13 {
			t.Errorf("%v", st.Requests)
		}
		sameWatches(t, s, zk, 1)
	})
}

func TestReadWithinHasThePathAtTheSameMoment(t *testing.T) {
	extended(t, func(t *testing.T, zk *zktest.Server, s *Session, sub *Subscription) {
		names := fill(t, zk, 2)
		mirrored(t, s)
		must(t, zk.Create("/app/new", nil))
		must(t, zk.Delete("/app/new"))
		settle(0)
		before := zk.Stats()
		nodes, told, err := s.ReadWithin(t.Context(), "/app", append(names, "missing"), sub)
		must(t, err)
		if told != 2 {
			t.Errorf("one has come and gone, and %d events are told", told)
		}
		if n := nodes[3]; len(nodes) != 4 || n.Name != "" || n.Stat.NumChildren != 2 || !errors.Is(nodes[2].Err, ErrNoNode) || nodes[1].Name != names[1] {
			t.Errorf("%+v", nodes)
		}
		if st := zk.Stats().Since(before); st.Total() != 1 || st.BytesOut > 400 {
			t.Errorf("%v, %d bytes", st.Requests, st.BytesOut)
		}
	})
}

func TestBatchesBecomeSmallerUntilTheirAnswersFit(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Extension, cfg.MaxReply = Extension{true, true}, 20<<10
		s := connected(t, cfg)
		var names []string
		for i := range 100 {
			names = append(names, fmt.Sprint(i))
			must(t, zk.Create("/app/"+names[i], []byte(strings.Repeat(names[i], 1000))))
		}
		nodes, err := s.Read(t.Context(), "/app", names, false)
		must(t, err)
		for i, n := range nodes {
			if n.Name != names[i] || len(n.Data) != 1000*len(names[i]) {
				t.Fatalf("%d: %s with %d bytes", i, n.Name, len(n.Data))
			}
		}
		must(t, zk.Create("/app/huge", make([]byte, 30<<10)))
		if _, err := s.Read(t.Context(), "/app", append(names, "huge"), false); !errors.Is(err, ErrReplyTooLarge) {
			t.Errorf("one that is too large by itself: %v", err)
		}
		if st := s.State(); !st.Connected || st.Link != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestLastingWatchGoesWithTheLastSubscription(t *testing.T) {
	extended(t, func(t *testing.T, zk *zktest.Server, s *Session, sub *Subscription) {
		other := s.Subscribe("/app")
		mirrored(t, s)
		other.Close()
		settle(0)
		sameWatches(t, s, zk, 1)
		sub.Close()
		settle(0)
		sameWatches(t, s, zk, 0)
		again := s.Subscribe("/app")
		defer again.Close()
		mirrored(t, s)
		sameWatches(t, s, zk, 1)
		must(t, zk.Create("/app/x", nil))
		hinted(t, "after all", again, Hints{Members: 1, Children: map[string]Change{"x": Changed}})
	})
}

func TestNoWatchIsLeftOverWhereNobodyIsSubscribed(t *testing.T) {
	bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
		cfg.Extension = Extension{true, true}
		s := connected(t, cfg)
		settle(0)
		sameWatches(t, s, zk, 0)
		if !s.State().Extension.Lasting {
			t.Error("not found out")
		}
	})
}

func TestMultiReadIsTakenApartOrRefused(t *testing.T) {
	part := func(op int32, done byte, code int32, body string) string {
		return string(append(append(be.AppendUint32(nil, uint32(op)), done), be.AppendUint32(nil, uint32(code))...)) + body
	}
	node := func(data string) string {
		return part(opGetData, 0, 0, string(appendStat(appendString(nil, data), someStat)))
	}
	null := part(opGetData, 0, 0, string(appendStat([]byte{255, 255, 255, 255}, someStat)))
	gone := part(-1, 0, codeNoNode, string(be.AppendUint32(nil, ^uint32(100))))
	end := part(-1, 1, -1, "")
	for _, tc := range []struct {
		what, body string
		want       error
	}{
		{"data, an error in between, and no data", node("x") + gone + null + end, nil},
		{"more behind the end", node("x") + gone + null + end + "more", nil},
		{"one too few", node("x") + gone + end, errForeign},
		{"one too many", node("x") + gone + null + gone + end, errForeign},
		{"no end", node("x") + gone + null, errForeign},
		{"nothing", "", errForeign},
		{"another kind", node("x") + gone + part(8, 0, 0, "\x00\x00\x00\x00") + end, errForeign},
		{"an error that is none", node("x") + gone + part(-1, 0, 0, "\x00\x00\x00\x00") + end, errForeign},
		{"a length that lies", part(opGetData, 0, 0, "\x7f\xff\xff\xff") + node("x") + node("x") + end, errForeign},
		{"cut in a stat", (node("x") + gone + null)[:len(node("x")+gone+null)-1], errForeign},
	} {
		sent := append(welcome(4000, 5), reply(xidOwn, 0, tc.body)...)
		k, _ := testLink(sent, 1<<20)
		k.window.extension.Batches = true
		must(t, skip(k, len(welcome(4000, 5))))
		var got []string
		must(t, send(k, &exchange{op: opGetData, n: 3, path: func(int) string { return "/a" }, done: make(chan struct{}), take: func(i int, refusal error, b []byte) error {
			if refusal != nil {
				got = append(got, refusal.Error())
				return nil
			}
			data, st, err := decodeData(b)
			if st != someStat {
				t.Errorf("%s: %+v", tc.what, st)
			}
			got = append(got, string(data))
			return err
		}}))
		err := k.nextFrame()
		if tc.want != nil && !errors.Is(err, tc.want) || tc.want == nil && fmt.Sprint(got) != fmt.Sprint([]string{"x", ErrNoNode.Error(), ""}) {
			t.Errorf("%s: %v, %q", tc.what, err, got)
		}
	}
}

func FuzzMultiRead(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0, 255, 255, 255, 255}, 1)
	f.Add([]byte{255, 255, 255, 255, 1, 255, 255, 255, 255}, 0)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		x := &exchange{n: n + 1, done: make(chan struct{}), take: func(_ int, refusal error, body []byte) error {
			if refusal == nil {
				_, _, err := decodeData(body)
				return err
			}
			return nil
		}}
		if err := (&asked{x: x, n: n}).takeParts(b); err == nil && x.answered != n {
			t.Errorf("%d answers of %d", x.answered, n)
		}
	})
}

func TestOneConnectionServesBothKindsOfReads(t *testing.T) {
	extended(t, func(t *testing.T, zk *zktest.Server, s *Session, _ *Subscription) {
		names := fill(t, zk, 200)
		must(t, zk.Put("/other/x", nil))
		mirrored(t, s)
		if _, err := s.Read(t.Context(), "/other", []string{"x"}, true); err != nil { // below no path that was listed
			t.Fatal(err)
		}
		sameWatches(t, s, zk, 2)
		zk.CutAfter(zktest.OpMultiRead, 1)
		if _, err := s.Read(t.Context(), "/app", names, true); !errors.Is(err, ErrLost) {
			t.Errorf("%v", err)
		}
		settle(time.Minute)
		if _, err := s.Read(t.Context(), "/app", names, true); err != nil { // nothing is watched over this connection
			t.Fatal(err)
		}
	})
}
