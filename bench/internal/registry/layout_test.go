package registry

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
)

func TestALayoutReadsWhatItWrites(t *testing.T) {
	for _, layout := range []Layout{RPCX{}, Dubbo{}} {
		nodes := make(map[string]bool)
		for _, key := range []string{Key(0), Key(61_234), "tcp@[::1]:8972", "tcp@example.org:1"} {
			for _, metadata := range []string{Metadata, "", "weight=2", "a=b&c=%2F+ü?#/", "interface=Other"} {
				name, data := layout.Node("some.Arith-1-2ms", key, metadata)
				if name == "" || strings.Contains(name, "/") {
					t.Errorf("%T: no name of a node: %s", layout, name)
				}
				nodes[name+" "+string(data)] = true
				if k, m, err := layout.Instance(name, data); k != key || m != metadata || err != nil {
					t.Errorf("%T: %s, %q became %s, %q, %v", layout, key, metadata, k, m, err)
				}
			}
		}
		if len(nodes) != 4*5 {
			t.Errorf("%T: only %d nodes", layout, len(nodes))
		}
	}
}

func TestANodeIsAsOthersWriteIt(t *testing.T) {
	type node struct{ Dir, Name, Data string }
	for _, c := range []struct {
		contender string
		want      node
	}{
		{contender.Holdfast, node{"Arith", "tcp@127.1.0.1:8972", "weight=2&zone=a"}},
		{contender.Curator, node{"Arith", "tcp@127.1.0.1:8972", "weight=2&zone=a"}},
		{contender.DubboGo, node{
			"Arith/providers", "dubbo%3A%2F%2F127.1.0.1%3A8972%2FArith%3Finstance.metadata%3Dweight%253D2%2526zone%253Da%26interface%3DArith", "",
		}},
	} {
		layout := LayoutOf(c.contender)
		name, data := layout.Node("Arith", Key(0), "weight=2&zone=a")
		if diff := cmp.Diff(c.want, node{layout.Dir("Arith"), name, string(data)}); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.contender, diff)
		}
	}
}

func TestWhatIsNoProviderIsAnError(t *testing.T) {
	for _, name := range []string{"", "%", "tcp@127.1.0.1:8972", "consumer%3A%2F%2F127.1.0.1%2FArith", "dubbo%3A%2F%2F%3Fa", "dubbo%3A%2F%2Fa%3Finterface%3D%25"} {
		if key, _, err := (Dubbo{}).Instance(name, nil); err == nil {
			t.Errorf("%q is %s", name, key)
		}
	}
}

func TestAServiceInDubbosLayoutChangesByMovingNodes(t *testing.T) {
	server := start(t)
	r, err := Connect(t.Context(), []string{server.Addr()}, "/bench", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	const n = batchSize + 7
	s, err := r.ServiceIn(Dubbo{}, "Arith", n)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Remove(Key(0)), s.Set(Key(1), "weight=2"), s.Set(Key(1), "weight=2"), s.Set(Key(1), "weight=3"), s.Add(Key(n), "")); err != nil {
		t.Fatal(err)
	}
	names, err := server.Children("/bench/Arith/providers")
	if err != nil || len(names) != n {
		t.Errorf("%d nodes, %v", len(names), err)
	}
	list := map[string]string{Key(1): "weight=3", Key(n): ""}
	for i := 2; i < n; i++ {
		list[Key(i)] = Metadata
	}
	if got, err := s.Digest(); got != Digest(list) || got != s.Made() || err != nil {
		t.Errorf("%s in ZooKeeper, %s made, want %s, %v", got, s.Made(), Digest(list), err)
	}
	if err := s.Set(Key(0), "weight=4"); err == nil || s.Made() != Digest(list) {
		t.Errorf("nobody was changed: %v", err)
	}
	if other, err := r.Service("Arith-rpcx", 1); err != nil || other.MovesToChange() || !s.MovesToChange() {
		t.Errorf("who moves to change is wrong, %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
