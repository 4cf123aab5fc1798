package session

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
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

func hinted(t *testing.T, what string, sub *Subscription, want Hints) {
	t.Helper()
	settle(0)
	if diff := cmp.Diff(want, sub.Take(), cmpopts.IgnoreFields(Hints{}, "Since")); diff != "" {
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
	extended(t, func(t *testing.T, zk *zktest.Server, s *Session, _ *Subscription) {
		names := fill(t, zk, 2)
		before := zk.Stats()
		nodes, err := s.ReadWithin(t.Context(), "/app", append(names, "missing"))
		must(t, err)
		if n := nodes[3]; len(nodes) != 4 || n.Name != "" || n.Stat.NumChildren != 2 || !errors.Is(nodes[2].Err, ErrNoNode) || nodes[1].Name != names[1] {
			t.Errorf("%+v", nodes)
		}
		if st := zk.Stats().Since(before); st.Total() != 1 || st.BytesOut > 400 {
			t.Errorf("%v, %d bytes", st.Requests, st.BytesOut)
		}
	})
}

// journalled opens a session that makes use of what the server has, and returns what it logs.
func journalled(t *testing.T, cfg Config) (*Session, *journal) {
	t.Helper()
	log := &journal{}
	cfg.Extension, cfg.Logger = Extension{true, true}, slog.New(log)
	return connected(t, cfg), log
}

// What a server does not know costs one connection at most, of which nobody hears, and is remembered for an hour. What it knows it is asked for again
// over every connection.
func TestServerIsAskedOnceAnHourForWhatItLacks(t *testing.T) {
	type count struct{ exists, addWatch, multiRead int64 }
	counted := func(zk *zktest.Server) count {
		r := zk.Stats().Requests
		return count{r[zktest.OpExists], r[zktest.OpAddWatch], r[zktest.OpMultiRead]}
	}
	for _, tc := range []struct {
		what  string
		opts  []zktest.Option
		fault func(*zktest.Server)
		want  Extension
		first count
		drops int64
		later count // within the hour
		after count // an hour later
	}{
		{"3.4", []zktest.Option{zktest.WithVersion(zktest.Version34)}, nil, Extension{}, count{1, 0, 0}, 0, count{1, 0, 0}, count{2, 0, 0}},
		{"3.5", []zktest.Option{zktest.WithVersion(zktest.Version35)}, nil, Extension{}, count{2, 1, 1}, 2, count{2, 1, 1}, count{4, 2, 2}},
		{"3.8", nil, nil, Extension{true, true}, count{1, 1, 0}, 0, count{1, 2, 0}, count{2, 3, 0}},
		{"optimized watches", []zktest.Option{zktest.WithOptimizedWatches()}, nil, Extension{false, true}, count{1, 1, 0}, 0, count{1, 1, 1}, count{2, 2, 1}},
		{"a hang-up", nil, func(zk *zktest.Server) { zk.CutBefore(zktest.OpAddWatch, 1) }, Extension{true, true}, count{2, 2, 0}, 1, count{2, 3, 0}, count{3, 4, 0}},
		{"two hang-ups", nil, func(zk *zktest.Server) { zk.CutBefore(zktest.OpAddWatch, 2) }, Extension{false, true}, count{3, 2, 1}, 2, count{3, 2, 2}, count{4, 3, 2}},
		{"throttled", nil, func(zk *zktest.Server) { zk.FailNext(zktest.OpAddWatch, -127, 1) }, Extension{false, true}, count{1, 1, 1}, 0, count{1, 2, 1}, count{2, 3, 1}},
		{"may not read it", nil, func(zk *zktest.Server) { zk.FailNext(zktest.OpExists, zktest.CodeNoAuth, 1) }, Extension{true, true}, count{1, 1, 0}, 0, count{1, 2, 0}, count{2, 3, 0}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				if tc.fault != nil {
					tc.fault(zk)
				}
				s, log := journalled(t, cfg)
				st := s.State()
				if got := counted(zk); st.Extension != tc.want || got != tc.first {
					t.Errorf("%+v after %+v, want %+v after %+v", st.Extension, got, tc.want, tc.first)
				}
				if lines := log.seen(); len(lines) != 1 || st.Session != 1 || st.Link != 1 || zk.Stats().Accepted != 1+tc.drops {
					t.Errorf("session %d, link %d, %d connections:\n%s", st.Session, st.Link, zk.Stats().Accepted, strings.Join(lines, ""))
				}
				again := func(want count) {
					t.Helper()
					zk.DropConnections()
					settle(MaxBackoff)
					if got := counted(zk); !s.State().Connected || got != want {
						t.Errorf("asked %+v, want %+v", got, want)
					}
				}
				settle(rememberFor / 2)
				again(tc.later)
				settle(2 * rememberFor)
				again(tc.after)
			}, tc.opts...)
		})
	}
}

// During an hour in which a server is remembered as a newer one than it is, each thing that it does not know costs a connection once.
func TestServerThatWasMadeAnOlderOneIsForgottenAtTheFirstAnswer(t *testing.T) {
	for i, wanted := range []Extension{{true, true}, {false, true}, {false, true}} {
		reads := i < 2
		bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
			cfg.Extension = wanted
			s := connected(t, cfg)
			zk.SetVersion(zktest.Version34)
			settle(MaxBackoff)
			before := zk.Stats().Accepted
			for i := range 5 {
				sub := s.Subscribe("/app")
				_, _ = s.List(t.Context(), "/app")
				if reads {
					_, _ = s.Read(t.Context(), "/app", []string{"a", "b"}, false)
				}
				sub.Close() // and its watch is to be removed
				settle(MaxBackoff)
				if i == 0 {
					continue
				}
				if got := zk.Stats().Accepted - before; got > 2 {
					t.Errorf("%+v: %d connections", wanted, got)
				}
			}
			if st := s.State(); !st.Connected || st.Extension != (Extension{}) {
				t.Errorf("%+v", st)
			}
		})
	}
}

// Only the answer to a read is about the node that was read.
func TestRefusalOfAnotherRequestSaysNothingAboutTheNode(t *testing.T) {
	for _, op := range []zktest.Op{zktest.OpSync, zktest.OpAddWatch, zktest.OpMultiRead} {
		for _, code := range []zktest.Code{zktest.CodeNoNode, zktest.CodeNoAuth} {
			bubble(t, func(t *testing.T, zk *zktest.Server, cfg Config) {
				cfg.Extension = Extension{true, true}
				s := connected(t, cfg)
				names := fill(t, zk, 3)
				zk.FailNext(op, code, 1)
				_, err := s.SyncedList(t.Context(), "/app")
				nodes, errRead := s.Read(t.Context(), "/app", names, false)
				for _, n := range nodes {
					if n.Err != nil {
						t.Errorf("%v %v: %+v", op, code, n)
					}
				}
				if err == nil {
					err = errRead
				}
				if err == nil || isAny(err, ErrNoNode, ErrNoAuth) {
					t.Errorf("%v %v: %v", op, code, err)
				}
			})
		}
	}
}

func TestConnectionThatEndsWithARefusalSaysNothingAboutANode(t *testing.T) {
	for _, xid := range []int32{xidSetWatches, xidAuth} {
		k, _ := testLink(append(welcome(4000, 5), reply(xid, codeNoNode, "")...), 1<<20)
		_, err := io.Copy(io.Discard, k)
		if err == nil || isAny(err, ErrNoNode, ErrNoAuth) {
			t.Errorf("%d: %v", xid, err)
		}
	}
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

func TestDistrustedServerIsWatchedOnceForAnHour(t *testing.T) {
	extended(t, func(t *testing.T, zk *zktest.Server, s *Session, sub *Subscription) {
		names := fill(t, zk, 3)
		mirrored(t, s)
		link := s.State().Link
		s.Distrust(link + 1)
		s.Distrust(link)
		s.Distrust(link)
		if st := s.State(); st.Link != link+1 || st.Extension != (Extension{false, true}) || !st.Connected {
			t.Fatalf("%+v", st)
		}
		mirrored(t, s)
		must(t, zk.Set("/app/"+names[0], []byte("b")))
		hinted(t, "data", sub, Hints{Children: map[string]Change{names[0]: Changed}})
		zk.DropConnections()
		settle(MaxBackoff)
		if s.State().Extension.Lasting {
			t.Error("trusted again at the next connection")
		}
		sameWatches(t, s, zk, 3)
		settle(2 * rememberFor)
		zk.DropConnections()
		settle(MaxBackoff)
		if !s.State().Extension.Lasting {
			t.Error("not asked again after an hour")
		}
		mirrored(t, s)
		sameWatches(t, s, zk, 1) // and none of those that were set again on the way
	})
}

// The answer to a request that a server does not know comes outside of its pipeline, and may be ahead of others.
func TestUnknownRequestIsSeenAheadOfEarlierAnswers(t *testing.T) {
	sent := append(welcome(4000, 5), reply(xidOwn-1, codeUnknown, "")...)
	k, _ := testLink(sent, 1<<20)
	k.extension.Batches = true
	must(t, skip(k, len(welcome(4000, 5))))
	must(t, send(k, lone(opExists, "/a", func(error, []byte) error { return nil })))
	must(t, send(k, lone(opAddWatch, "/a", func(error, []byte) error { return nil })))
	if err := k.nextFrame(); !errors.Is(err, errUnknown) || k.probing.Load() != opAddWatch {
		t.Errorf("%v", err)
	}
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
