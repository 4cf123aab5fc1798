package serverplugin

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// operator writes into a node as rpcx-ui does: what it read, with one key changed, its keys sorted, whatever the version is.
type operator struct {
	zk   *zktest.Server
	said int
}

// change writes what f makes of the query, and reports whether there was a node.
func (o *operator) change(path string, f func(url.Values)) bool {
	n, err := o.zk.Get(path)
	if err != nil {
		return false
	}
	v, err := url.ParseQuery(string(n.Data))
	if err != nil {
		return false // so does rpcx-ui
	}
	f(v)
	return o.zk.Set(path, []byte(v.Encode())) == nil
}

// say sets a key, and removes it when value is "".
func (o *operator) say(path, key, value string) bool {
	return o.change(path, func(v url.Values) {
		if v.Set(key, value); value == "" {
			v.Del(key)
		}
	})
}

// weigh says a weight that nobody else says.
func (o *operator) weigh(path string) string {
	o.said++
	weight := fmt.Sprint("o", o.said)
	o.say(path, "weight", weight)
	return weight
}

// saying is what a service's node is to say: what is registered, with an operator's words. Without any it is what is registered, byte for byte.
func saying(data, registered string, said []Word) bool {
	if len(said) == 0 {
		return data == registered
	}
	return sameQuery(data, compose(registered, new(extra), &layer{said}))
}

// assertSaid asserts that a competitor heeds nothing but what the operator has said.
func (h *history) assertSaid(c *competitor, said []Word) {
	h.Helper()
	for _, w := range said {
		switch v := strings.Join(w.Values, ","); {
		case w.Key == "weight" && strings.HasPrefix(v, "o"):
		case w.Key == "state" && v == "inactive":
		default:
			h.Errorf("%s heeds what nobody has said: %+v", c.name, w)
		}
	}
}

// assertHeeded has the operator say something of everything, in peace, and asserts that the owner heeds it.
func (h *history) assertHeeded() {
	h.Helper()
	weight := h.operator.weigh(nodePath)
	for _, step := range []struct{ key, value, heeded string }{
		{"weight", weight, weight}, {"state", "inactive", "inactive"}, {"state", "active", ""}, {"weight", "", ""},
	} {
		before, err := h.zk.Get(nodePath)
		if err != nil || before.Stat.EphemeralOwner == 0 || !h.operator.say(nodePath, step.key, step.value) {
			return
		}
		pass(0)
		after, err := h.zk.Get(nodePath)
		if err != nil || after.Stat.Version < before.Stat.Version+2 {
			h.Errorf("the operator has said %v, and had no answer: %+v, %+v, %v", step, before, after, err)
		}
		for _, c := range h.all {
			if c.plugin == nil || c.plugin.Status().SessionID != after.Stat.EphemeralOwner {
				continue
			}
			said := c.plugin.Status().Services[0].Operator
			i := slices.IndexFunc(said, func(w Word) bool { return w.Key == step.key })
			if i < 0 && step.heeded != "" || i >= 0 && !slices.Equal(said[i].Values, []string{step.heeded}) {
				h.Errorf("the operator has said %v, and %s heeds %+v", step, c.name, said)
			}
			h.assertSaid(c, said)
		}
	}
	h.assertOneOwner()
}
