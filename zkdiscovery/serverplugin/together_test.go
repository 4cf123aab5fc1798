package serverplugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestWhatGoesTogether(t *testing.T) {
	cfg := &config{acl: []ACL{{Perms: session.PermAll, Scheme: "world", ID: "anyone"}}}
	of := func(session int64, a action) job {
		return job{entry: &entry{path: "/rpcx/Arith/" + address}, action: a, session: session}
	}
	looking, glancing, long := action{kind: look}, action{kind: look, glance: true}, action{kind: create, data: strings.Repeat("x", mostBytes)}
	for _, tc := range []struct {
		rule       string
		queue      []job
		urgent     bool
		task, rest int
		last       action // of the task
	}{
		{"one", []job{of(1, looking)}, false, 1, 0, looking},
		{"glances with glances", []job{of(1, glancing), of(1, looking), of(1, glancing)}, false, 2, 1, glancing},
		{"looks that leave a watch wait", []job{of(1, looking), of(1, glancing), of(1, looking)}, false, 1, 2, glancing},
		{"also for writes", []job{of(1, looking), of(1, action{kind: set})}, false, 1, 1, action{kind: set}},
		{"while something urgent is under way, too", []job{of(1, looking)}, true, 0, 1, action{}},
		{"which nothing else waits for", []job{of(1, looking), of(1, glancing)}, true, 1, 1, glancing},
		{"writes of every kind", []job{of(1, action{kind: create}), of(1, action{kind: set}), of(1, action{kind: takeOver}), of(1, action{kind: remove})}, false, 4, 0, action{kind: remove}},
		{"of one session", []job{of(1, action{kind: create}), of(2, action{kind: create})}, false, 1, 1, action{kind: create}},
		{"one that is too long goes by itself", []job{of(1, long), of(1, action{kind: set})}, false, 1, 1, long},
		{"and not behind others", []job{of(1, action{kind: set}), of(1, long), of(1, action{kind: remove})}, false, 2, 1, action{kind: remove}},
		{"so many looks", slices.Repeat([]job{of(1, looking)}, 2*mostTogether), false, mostTogether, mostTogether, looking},
	} {
		task, rest := nextTask(tc.queue, cfg, tc.urgent)
		var last action
		if len(task) > 0 {
			last = task[len(task)-1].action
		}
		if len(task) != tc.task || len(rest) != tc.rest || last != tc.last {
			t.Errorf("%s: %d and %d are left, the last %+v", tc.rule, len(task), len(rest), last.kind)
		}
	}
}

// The bytes of a transaction are reckoned before it is made.
func TestATransactionIsNoLongerThanReckoned(t *testing.T) {
	r := &registrar{cfg: config{acl: []ACL{{Perms: session.PermAll, Scheme: "digest", ID: "user:0123456789012345678901234567"}}}}
	for _, a := range []action{{kind: create, data: "d"}, {kind: takeOver, version: 2, data: "d"}, {kind: set, data: "d"}, {kind: remove}} {
		j := job{entry: &entry{path: "/a/b"}, action: a}
		bytes := 0
		for _, op := range r.ops(j.entry.path, a) {
			bytes += 9 // a header, in front of the path, 4, and then:
			switch o := op.(type) {
			case session.Create:
				bytes += 4 + len(o.Path) + 4 + len(o.Data) + 4 + 4
				for _, acl := range o.ACL {
					bytes += 4 + 4 + len(acl.Scheme) + 4 + len(acl.ID)
				}
			case session.Set:
				bytes += 4 + len(o.Path) + 4 + len(o.Data) + 4
			case session.Delete:
				bytes += 4 + len(o.Path) + 4
			}
		}
		if got := j.size(&r.cfg); got < bytes || got > bytes+200 {
			t.Errorf("%+v: %d bytes, reckoned %d", a.kind, bytes, got)
		}
	}
}

// together is what the registrar of p makes of n writes: those of kinds where there are any, creations otherwise.
func (b bubble) together(p *ZooKeeperRegisterPlugin, n int, kinds map[int]action) (answers []answer, cost map[zktest.Op]int64) {
	b.Helper()
	r := p.registrar
	var task []job
	for i := range n {
		do, other := kinds[i]
		if !other {
			do = action{kind: create, data: "weight=3"}
		}
		task = append(task, job{entry: &entry{path: fmt.Sprint("/rpcx/Service", i, "/", address)}, action: do, session: r.session.State().Session})
	}
	was := b.zk.Stats()
	answers = r.perform(task)
	return answers, b.zk.Stats().Since(was).Requests
}

// stands has somebody else's node stand at the address of service i.
func (b bubble) stands(i int) {
	must(b, b.zk.Put(fmt.Sprint("/rpcx/Service", i, "/", address), []byte("else")))
}

func TestManyWritesFallApartWhereOneIsRefused(t *testing.T) {
	const n = 300
	for rule, tc := range map[string]struct {
		prepare func(b bubble)
		kinds   map[int]action
		want    map[int]eventKind // wrote, where it says nothing
		multis  int64
	}{
		"all go": {multis: 1, prepare: func(b bubble) {
			for i := range n {
				must(b, b.zk.Put(fmt.Sprint("/rpcx/Service", i), nil))
			}
		}},
		"without the parents of any": {multis: 2, prepare: func(bubble) {}},
		"without those of some": {multis: 2, prepare: func(b bubble) {
			for i := range n / 2 {
				must(b, b.zk.Put(fmt.Sprint("/rpcx/Service", i), nil))
			}
		}},
		"where somebody else stands": {multis: 4, prepare: func(b bubble) { b.stands(7); b.stands(200) }, want: map[int]eventKind{7: conflicted, 200: conflicted}},
		"where many others stand": {multis: mostTurns, prepare: func(b bubble) {
			for i := range n / 2 {
				b.stands(i)
			}
		}, want: func() map[int]eventKind {
			all := make(map[int]eventKind)
			for i := range n {
				all[i] = conflicted
			}
			return all
		}()},
		"where a takeover is too late": {
			multis: 3, prepare: func(b bubble) { b.stands(3) },
			kinds: map[int]action{3: {kind: takeOver, data: "weight=3", version: 5}}, want: map[int]eventKind{3: conflicted},
		},
		"where nothing stands any more": {
			multis: 5, prepare: func(bubble) {},
			kinds: map[int]action{3: {kind: set, data: "x", version: 5}, 4: {kind: remove}, 5: {kind: takeOver, data: "x"}},
			want:  map[int]eventKind{3: conflicted, 4: conflicted, 5: conflicted},
		},
		"where something is below a persistent node": {
			multis: 5, prepare: func(b bubble) { b.stands(3); must(b, b.zk.Put("/rpcx/Service3/"+address+"/below/it", nil)) },
			kinds: map[int]action{3: {kind: takeOver, data: "weight=3"}},
		},
		"where one may not be written": {
			multis: 3, prepare: func(b bubble) {
				must(b, b.zk.Put("/rpcx/Service9", nil))
				must(b, b.zk.SetACL("/rpcx/Service9", []zktest.ACL{{Perms: 1, Scheme: "world", ID: "anyone"}}))
			},
			want: map[int]eventKind{9: refused},
		},
	} {
		t.Run(rule, func(t *testing.T) {
			inBubble(t, func(b bubble) {
				p := b.plugin()
				pass(time.Second)
				tc.prepare(b)
				answers, cost := b.together(p, n, tc.kinds)
				for i, a := range answers {
					want, special := tc.want[i]
					if !special {
						want = wrote
					}
					if a.kind != want || (a.err == nil) != (want == wrote) {
						t.Fatalf("%d: %d, %v, want %d", i, a.kind, a.err, want)
					}
					node, err := b.zk.Get(a.entry.path)
					if done := err == nil && node.Stat.EphemeralOwner == p.Status().SessionID && string(node.Data) == "weight=3"; done != (want == wrote) {
						t.Fatalf("%d: %+v, %v, want %d", i, node, err, want)
					}
				}
				if got := cost[zktest.OpMulti]; got != tc.multis {
					t.Errorf("%v, want %d transactions", cost, tc.multis)
				}
			})
		})
	}
}

func TestWithoutTheChrootNothingIsMade(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithZKServersAddress([]string{"zk:2181/no/such"}))
		pass(time.Second)
		answers, _ := b.together(p, 20, map[int]action{4: {kind: remove}})
		for i, a := range answers {
			if i == 4 && a.kind != conflicted || i != 4 && (a.kind != refused || !strings.Contains(a.err.Error(), `"/no/such"`)) {
				t.Errorf("%d: %d, %v", i, a.kind, a.err)
			}
		}
		if got, err := b.zk.Children("/"); err != nil || !slices.Equal(got, []string{"zookeeper"}) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestLooksBehindOneThatIsRefusedAreMadeAgain(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		pass(time.Second)
		b.zk.FailNext(zktest.OpMultiRead, zktest.CodeRuntimeInconsistency, 1)
		answers, _ := b.together(p, 20, func() map[int]action {
			all := make(map[int]action)
			for i := range 20 {
				all[i] = action{kind: look, glance: true}
			}
			return all
		}())
		for i, a := range answers {
			if want := [...]eventKind{refused, unsent}[min(i, 1)]; a.kind != want {
				t.Errorf("%d: %d, %v", i, a.kind, a.err)
			}
		}
		b.many(p, 50)
		b.zk.FailNext(zktest.OpMultiRead, zktest.CodeRuntimeInconsistency, 1)
		pass(10 * time.Second)
		if !p.Registered() {
			t.Error(p.Status())
		}
	})
}

// all asserts that n services are registered, by p, and each once.
func (b bubble) all(p *ZooKeeperRegisterPlugin, n int) {
	b.Helper()
	st := p.Status()
	if !st.Registered || len(st.Services) != n {
		b.Fatal(st)
	}
	for i := range n {
		node, err := b.zk.Get(fmt.Sprint("/rpcx/Service", i, "/", address))
		if err != nil || node.Stat.EphemeralOwner != st.SessionID || string(node.Data) != "weight=3" {
			b.Fatalf("%d: %+v, %v, want %#x", i, node, err, st.SessionID)
		}
	}
}

// The answer to a transaction is lost, which was executed or not.
func TestWhatBecameOfManyIsLookedAt(t *testing.T) {
	const n = 300
	for what, cut := range map[string]func(*zktest.Server){
		"executed":                          func(zk *zktest.Server) { zk.CutAfter(zktest.OpMulti, 1) },
		"not executed":                      func(zk *zktest.Server) { zk.CutBefore(zktest.OpMulti, 1) },
		"several":                           func(zk *zktest.Server) { zk.CutAfter(zktest.OpMulti, 3) },
		"not looked":                        func(zk *zktest.Server) { zk.CutBefore(zktest.OpMultiRead, 2) },
		"executed, and the session is over": func(zk *zktest.Server) { zk.CutAfter(zktest.OpMulti, 1) },
	} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(b bubble) {
				p := b.plugin()
				pass(time.Second)
				cut(b.zk)
				b.many(p, n)
				if strings.Contains(what, "is over") {
					pass(0)
					b.zk.ExpireAll()
				}
				pass(20 * time.Second)
				b.all(p, n)
			})
		})
	}
}

// A server takes shorter requests than others do, and hangs up on longer ones.
func TestWhatIsTooLongTogetherIsDoneAlone(t *testing.T) {
	inBubble(t, func(b bubble) {
		b.zk.Close()
		b.zk = zktest.NewServer(zktest.WithMaxFrame(4 << 10))
		b.Cleanup(b.zk.Close)
		p := b.plugin()
		pass(time.Second)
		b.many(p, 100)
		pass(time.Minute)
		b.all(p, 100)
	})
}

// A killed predecessor's nodes are replaced in few transactions, and so are an earlier session's.
func TestManyAreTakenOverTogether(t *testing.T) {
	const n = 300
	inBubble(t, func(b bubble) {
		way := &mortal{zk: b.zk}
		old := b.plugin(WithDialer(way.dial))
		b.many(old, n)
		pass(time.Second)
		way.kill()
		p := b.plugin()
		pass(time.Second)
		was := b.zk.Stats()
		b.many(p, n)
		pass(time.Second)
		b.all(p, n)
		if cost := b.zk.Stats().Since(was).Requests; cost[zktest.OpMulti] > 20 || cost[zktest.OpMultiRead] > 20 {
			t.Errorf("%v", cost)
		}
		if st := p.Status(); st.Takeovers != n {
			t.Errorf("%+v", st.Counters)
		}
		was = b.zk.Stats()
		b.zk.ExpireAll()
		pass(10 * time.Second)
		b.all(p, n)
		cost := b.zk.Stats().Since(was).Requests
		if cost[zktest.OpMulti] > 20 || cost[zktest.OpCreate] > 0 {
			t.Errorf("%v", cost)
		}
		was = b.zk.Stats()
		for i := range n {
			if err := p.SetMetadata(fmt.Sprint("Service", i), "weight=4"); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Second)
		if cost := b.zk.Stats().Since(was).Requests; !p.Registered() || cost[zktest.OpMulti]+cost[zktest.OpSetData] > 20 {
			t.Errorf("%v", cost)
		}
	})
}

// While many are registered, others come and take some of the addresses, and give them back.
func TestManyMeetACompetitor(t *testing.T) {
	const n = 200
	inBubble(t, func(b bubble) {
		p, q := b.plugin(), b.plugin()
		pass(time.Second)
		b.zk.Delay(5 * time.Millisecond)
		b.many(p, n)
		pass(7 * time.Millisecond)
		for i := range n {
			if i%3 == 0 {
				b.register(q, fmt.Sprint("Service", i), "weight=3")
			}
		}
		pass(10 * time.Second)
		owned := map[int64]int{}
		for i := range n {
			node, err := b.zk.Get(fmt.Sprint("/rpcx/Service", i, "/", address))
			must(b, err)
			owned[node.Stat.EphemeralOwner]++
		}
		if owned[p.Status().SessionID]+owned[q.Status().SessionID] != n || owned[p.Status().SessionID] < n/2 {
			t.Errorf("%v of %#x and %#x", owned, p.Status().SessionID, q.Status().SessionID)
		}
		must(b, q.Stop())
		pass(10 * time.Second)
		b.all(p, n)
		if err := p.Unregister("Service0"); err != nil && !errors.Is(err, ErrUnconfirmed) {
			t.Error(err)
		}
	})
}
