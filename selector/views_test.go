package selector

import (
	"maps"
	"slices"
	"testing"

	"github.com/smallnest/rpcx/client"
)

func listed(s *Selector) []string {
	var keys []string
	for _, srv := range s.Status().Servers {
		keys = append(keys, srv.Key)
	}
	return keys
}

func servers(keys ...string) map[string]string {
	m := map[string]string{}
	for _, key := range keys {
		m[key] = ""
	}
	return m
}

var ofRPCX = settings{known: true}

// The members of a pool receive the same lists, each at its own time.
func TestOfXClientsThatShareAListOneLeads(t *testing.T) {
	s := mustNew(t)
	want := func(keys ...string) {
		t.Helper()
		if got := listed(s); !slices.Equal(got, keys) {
			t.Errorf("the selector has %v, want %v", got, keys)
		}
	}
	first, second, third := s.newView(ofRPCX), s.newView(ofRPCX), s.newView(ofRPCX)
	for _, v := range []*view{first, second, third} {
		v.UpdateServer(servers("a"))
	}
	first.UpdateServer(servers("a", "b"))
	first.UpdateServer(servers("b"))
	want("b")
	second.UpdateServer(servers("a", "b")) // a is long gone
	want("b")
	third.UpdateServer(servers("c"))
	want("b")

	// A member that is just being made has yet to hear of anybody.
	s.newView(ofRPCX).UpdateServer(servers())
	want("b")

	second.UpdateServer(servers("b", "c"))
	first.close()
	want("b", "c") // that of the one that has received a list last
	first.UpdateServer(servers("z"))
	third.UpdateServer(servers("d"))
	want("b", "c")
	second.UpdateServer(servers())
	want()
}

func TestTheLastListStaysWhenAllXClientsAreClosed(t *testing.T) {
	s := mustNew(t)
	v := s.newView(ofRPCX)
	v.UpdateServer(servers("a"))
	v.close()
	if got := listed(s); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the selector has %v", got)
	}
	// Row 12: an XClient that comes later, and whose list is empty, was taken for one that knows nobody yet.
	later := s.newView(ofRPCX)
	later.UpdateServer(servers())
	if got := listed(s); len(got) > 0 {
		t.Errorf("the selector has %v, of which the XClient that is there knows nothing", got)
	}
}

func TestASelectorThatOutlivesItsXClientsHasTheListOfWhoIsThereNow(t *testing.T) {
	n := startNode(t)
	s := mustNew(t)
	xc := NewXClient("Kelp", client.Failfast, newDiscovery(n.key), client.DefaultOption, s)
	ready(t, s)
	_ = xc.Close()
	xc = NewXClient("Kelp", client.Failfast, newDiscovery(), client.DefaultOption, s)
	defer xc.Close()
	if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != client.ErrXClientNoServer { //nolint:errorlint // as rpcx returns it
		t.Errorf("a call where nobody is listed: %v", err)
	}
}

// Row 8: on a shared Selector the group of one XClient was obeyed for another's.
func TestEachXClientCallsTheServersOfItsOwnGroup(t *testing.T) {
	byGroup := map[string]*node{"a": startNode(t), "b": startNode(t)}
	d := &labelled{newDiscovery(), map[string]string{}}
	for group, n := range byGroup {
		d.data[n.key] = "group=" + group
	}
	d.set(slices.Collect(maps.Keys(d.data))...)
	s := mustNew(t)
	o := client.DefaultOption
	xs := map[string]client.XClient{}
	for _, group := range []string{"a", "b", ""} {
		o.Group = group
		xs[group] = Wrap(client.NewXClient("Kelp", client.Failfast, client.SelectByUser, d, o), s)
		defer xs[group].Close()
	}
	ready(t, s)
	for range 20 {
		for group, n := range byGroup {
			var reply string
			if err := xs[group].Call(t.Context(), "Greet", &question, &reply); err != nil || reply != n.name {
				t.Fatalf("group %s: %q, %v, want %q", group, reply, err, n.name)
			}
		}
		if err := xs[""].Call(t.Context(), "Greet", &question, new(string)); err != nil {
			t.Fatal(err)
		}
	}
	if got := listed(s); len(got) != 2 {
		t.Errorf("the Selector knows %v, want the union", got)
	}
	_ = xs[""].Close()
	_ = xs["a"].Close()
	if err := xs["b"].Call(t.Context(), "Greet", &question, new(string)); err != nil {
		t.Error(err)
	}
}

// labelled is a discovery with metadata.
type labelled struct {
	*discovery
	data map[string]string
}

func (d *labelled) GetServices() (pairs []*client.KVPair) {
	for key, data := range d.data {
		pairs = append(pairs, &client.KVPair{Key: key, Value: data})
	}
	return pairs
}

func (d *labelled) WatchService() chan []*client.KVPair { return nil }
