package main

import (
	"strings"
	"testing"
	"time"

	"dubbo.apache.org/dubbo-go/v3/common"
	dubbo "dubbo.apache.org/dubbo-go/v3/registry"
	"dubbo.apache.org/dubbo-go/v3/remoting"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	"github.com/smallnest/rpcx/client"
)

func TestMain(m *testing.M) {
	quiet()
	m.Run()
}

// event is one as dubbo-go makes it of a node.
func event(t *testing.T, what remoting.EventType, key, metadata string) *dubbo.ServiceEvent {
	t.Helper()
	node, _ := registry.Dubbo{}.Node("Arith", key, metadata)
	u, err := common.NewURL(node)
	if err != nil {
		t.Fatal(err)
	}
	return &dubbo.ServiceEvent{Action: what, Service: u}
}

func TestDubboGoReadsTheLayout(t *testing.T) {
	for _, metadata := range []string{registry.Metadata, "", "a=b&c=%2F+ü", "interface=Other&group=x"} {
		u := event(t, remoting.EventTypeAdd, registry.Key(7), metadata).Service
		if u.ServiceKey() != "Arith" || registry.Network+u.Location != registry.Key(7) {
			t.Errorf("%s at %s", u.ServiceKey(), u.Location)
		}
		if got := u.GetParam(registry.MetadataParameter, ""); got != metadata {
			t.Errorf("%q became %q", metadata, got)
		}
	}
}

func TestTheListIsWhatEventsHaveToldOf(t *testing.T) {
	const one, other = "tcp@127.1.0.1:1", "tcp@127.1.0.2:1"
	for steps, want := range map[string]string{
		"":                            "",
		"+1a":                         "1a",
		"+1a +1a":                     "1a",
		"+1a +2b":                     "1a 2b",
		"+1a +2b -1a":                 "2b",
		"+1a -1a":                     "",
		"-1a":                         "",
		"+1a -1a -1a +1b":             "1b",
		"+1a +2a +1b":                 "1b 2a", // changed, and the old node is not gone yet
		"+1a +2a +1b -1a":             "1b 2a",
		"+1a +2a -1a +1b":             "2a 1b",
		"+1a +1b +1a -1a":             "1b", // the old one is told of again
		"+1a +1b -1b":                 "1a",
		"+1a +2a +1b -2a -1a -1b +2c": "2c",
		"+1a +1b +1c -1b -1c -1a +1c": "1c",
		"+2a +1a -2a +2b -1a +1b -2b": "1b",
	} {
		l := newList()
		shown := ""
		for step := range strings.FieldsSeq(steps) {
			key := one
			if step[1] == '2' {
				key = other
			}
			what := remoting.EventTypeAdd
			if step[0] == '-' {
				what = remoting.EventTypeDel
			}
			before := words(l.pairs)
			handedOut := l.pairs
			changed := l.take(event(t, what, key, step[2:]))
			if shown = words(l.pairs); changed != (shown != before) {
				t.Errorf("%s, %s: %q became %q, and it says %v", steps, step, before, shown, changed)
			}
			if got := words(handedOut); got != before {
				t.Errorf("%s, %s: a list that was handed out was %q and is %q", steps, step, before, got)
			}
		}
		if shown != want {
			t.Errorf("%s: %q, want %q", steps, shown, want)
		}
	}
}

// words are the pairs as the steps name them.
func words(pairs []*client.KVPair) string {
	var all []string
	for _, p := range pairs {
		all = append(all, p.Key[len("tcp@127.1.0."):len("tcp@127.1.0.1")]+p.Value)
	}
	return strings.Join(all, " ")
}

func TestItFollowsAService(t *testing.T) {
	server := zktest.Start(t)
	r, err := registry.Connect(t.Context(), []string{server.Addr()}, "/bench", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Forget()
	const n = 20
	s, err := r.ServiceIn(registry.Dubbo{}, "Arith", n)
	if err != nil {
		t.Fatal(err)
	}
	d, err := open(contender.Config{Servers: []string{server.Addr()}, Base: "bench", Service: "Arith", SessionTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for began := time.Now(); len(d.GetServices()) < n; time.Sleep(time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%d instances, not %d", len(d.GetServices()), n)
		}
	}
	ch := d.WatchService()
	for _, do := range []func() error{
		func() error { return s.Add(registry.Key(n), "weight=2") },
		func() error { return s.Set(registry.Key(3), "weight=3") },
		func() error { return s.Remove(registry.Key(n)) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		for got := ""; got != s.Made(); {
			select {
			case pairs := <-ch:
				list := make(map[string]string)
				for _, p := range pairs {
					list[p.Key] = p.Value
				}
				got = registry.Digest(list)
			case <-time.After(20 * time.Second):
				t.Fatal("its list is another one")
			}
		}
		atRest(server) // it reads everything twice more
	}
	d.RemoveWatcher(ch)
}

// atRest waits until nothing is asked any more but pings.
func atRest(server *zktest.Server) {
	asked := func() (n int64) {
		for op, count := range server.Stats().Requests {
			if op != zktest.OpPing {
				n += count
			}
		}
		return n
	}
	for before := int64(-1); before != asked(); time.Sleep(50 * time.Millisecond) {
		before = asked()
	}
}

func TestItsListenerTakesAWholeList(t *testing.T) {
	d := &discovery{list: newList()}
	ch := d.WatchService()
	d.Notify(event(t, remoting.EventTypeAdd, registry.Key(1), "a"))
	called := false
	all := []*dubbo.ServiceEvent{event(t, remoting.EventTypeUpdate, registry.Key(2), "b"), event(t, remoting.EventTypeUpdate, registry.Key(3), "c")}
	d.NotifyAll(all, func() { called = true })
	<-ch
	if got := <-ch; !called || len(got) != 2 || got[0].Value != "b" || got[1].Value != "c" {
		t.Errorf("%v, called back: %v", got, called)
	}
	for i := range 100 { // nobody takes them
		d.Notify(event(t, remoting.EventTypeAdd, registry.Key(10+i), "d"))
	}
	last := 0
	for len(ch) > 0 {
		last = len(<-ch)
	}
	if last != 102 {
		t.Errorf("the last list of a watcher that was late has %d instances", last)
	}
}

func TestOnlyDubboGoIsHere(t *testing.T) {
	if c, err := byName(contender.DubboGo); err != nil || c.Open == nil {
		t.Error(err)
	}
	if _, err := byName(contender.Holdfast); err == nil {
		t.Error("it has another contender")
	}
}
