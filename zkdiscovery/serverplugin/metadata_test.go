package serverplugin

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rcrowley/go-metrics"
)

func TestCompose(t *testing.T) {
	m := append(make([]param, 0, 3), param{"calls", "1.50"}, param{"connections", "0.00"})
	for _, tc := range []struct {
		rule, metadata string
		metrics        []param
		inactive       bool
		want           string
	}{
		{"without metrics it is the metadata", "b=1&a=%20", nil, false, "b=1&a=%20"},
		{"metrics are appended", "b=1&a=%20", m, false, "b=1&a=%20&calls=1.50&connections=0.00"},
		{"to nothing too", "", m, false, "calls=1.50&connections=0.00"},
		{"they replace those that are there", "calls=9&weight=3&calls=8", m, false, "weight=3&calls=1.50&connections=0.00"},
		{"inactive replaces the state", "state=active&weight=3", nil, true, "weight=3&state=inactive"},
		{"both", "weight=3", m, true, "weight=3&calls=1.50&connections=0.00&state=inactive"},
		{"an escaped key is the same key", "st%61te=x", nil, true, "state=inactive"},
		{"what is no query is left alone", `{"zone":"a;b"}`, m, true, `{"zone":"a;b"}`},
		{"a bad escape too", "a=%zz", m, true, "a=%zz"},
	} {
		if got := compose(tc.metadata, &extra{params: tc.metrics, inactive: tc.inactive}, nil); got != tc.want {
			t.Errorf("%s: compose(%q) = %q, want %q", tc.rule, tc.metadata, got, tc.want)
		}
	}
	if m[:3][2] != (param{}) {
		t.Error("compose has written behind its argument, which all services share")
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("weight=3&state=active")
	f.Add(`{"a":"b;c"}`)
	f.Add("&&=&a")
	f.Fuzz(func(t *testing.T, metadata string) {
		was, err := url.ParseQuery(metadata)
		x := &extra{params: []param{{"calls", "1.00"}}, inactive: true}
		got := compose(metadata, x, nil)
		if err != nil {
			if got != metadata {
				t.Errorf("%q became %q", metadata, got)
			}
			return
		}
		is, err := url.ParseQuery(got)
		if err != nil {
			t.Fatalf("%q became %q: %v", metadata, got, err)
		}
		was.Set("calls", "1.00")
		was.Set("state", "inactive")
		if was.Encode() != is.Encode() {
			t.Errorf("%q became %q", metadata, got)
		}
		if again := compose(got, x, nil); again != got {
			t.Errorf("%q, and again %q", got, again)
		}
	})
}

// published reads the metrics that the node says.
func (b bubble) published(p *ZooKeeperRegisterPlugin) url.Values {
	b.Helper()
	n, err := b.zk.Get(nodePath)
	if err != nil || !p.Registered() {
		b.Fatal(err, p.Status())
	}
	v, err := url.ParseQuery(string(n.Data))
	if err != nil {
		b.Fatal(err)
	}
	return v
}

func TestMetricsArePublished(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithZKMetrics(metrics.NewRegistry()), WithZkUpdateInterval(time.Second))
		b.register(p, "Arith", "weight=3")
		b.register(p, "JSON", `{"zone":"a;b"}`)
		pass(500 * time.Millisecond)
		if v := b.published(p); v.Has("calls") || v.Get("weight") != "3" {
			b.Errorf("at first: %v", v)
		}
		for range 30 {
			pass(time.Millisecond) // a rate over no time is infinite
			if _, ok := p.HandleConnAccept(nil); !ok {
				b.Fatal("connection refused")
			}
			if args, err := p.PreCall(b.Context(), "Arith", "Mul", 7); args != 7 || err != nil {
				b.Fatal(args, err)
			}
			_, _ = p.PreCall(b.Context(), "Arith", "Mul", 7)
		}
		pass(time.Second)
		v := b.published(p)
		if v.Get("weight") != "3" || v.Get("calls") == "0.00" || v.Get("connections") == "0.00" || v.Get("calls") == v.Get("connections") {
			b.Errorf("after 30 connections and 60 calls: %v", v)
		}
		if n, err := b.zk.Get("/rpcx/JSON/" + address); err != nil || string(n.Data) != `{"zone":"a;b"}` || n.Stat.Version != 0 {
			b.Errorf("metadata that is no query: %+v, %v", n, err)
		}
		b.zk.ExpireAll()
		pass(recovery)
		if again := b.published(p); again.Get("weight") != "3" || !again.Has("calls") {
			b.Errorf("after an expiry: %v", again)
		}
	})
}

func TestMetricsThatDoNotChangeAreNotWritten(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin(WithZKMetrics(metrics.NewRegistry()), WithZkUpdateInterval(time.Second))
		b.register(p, "Arith", "weight=3")
		pass(2500 * time.Millisecond)
		was := b.zk.Stats()
		if v := b.published(p); v.Get("calls") != "0.00" {
			b.Errorf("%v", v)
		}
		pass(10 * time.Minute)
		if n := b.zk.Stats().Since(was); n.Total() != 0 {
			b.Errorf("600 intervals without a call: %v", n.Requests)
		}
	})
}

func TestMetricsAreNotWrittenToASuccessorsNode(t *testing.T) {
	inBubble(t, func(b bubble) {
		old := b.plugin(WithZKMetrics(metrics.NewRegistry()), WithZkUpdateInterval(time.Second))
		b.register(old, "Arith", "weight=3")
		pass(2500 * time.Millisecond)
		p := b.plugin()
		b.register(p, "Arith", "weight=4")
		pass(time.Second)
		was := b.zk.Zxid()
		for range 60 {
			_, _ = old.PreCall(b.Context(), "", "", nil)
			pass(time.Second)
		}
		b.mustOwn(p, "weight=4")
		if n := b.zk.Zxid() - was; n != 0 {
			b.Errorf("%d writes", n)
		}
	})
}

func TestMetricsNeedARegistryAndAnInterval(t *testing.T) {
	for _, opts := range [][]ZooKeeperOpt{
		{WithZkUpdateInterval(time.Second)},
		{WithZKMetrics(metrics.NewRegistry())},
		{WithZKMetrics(metrics.NewRegistry()), WithZkUpdateInterval(-time.Second)},
	} {
		inBubble(t, func(b bubble) {
			p := b.plugin(opts...)
			b.register(p, "Arith", "weight=3")
			_, _ = p.PreCall(b.Context(), "", "", nil)
			_, _ = p.HandleConnAccept(nil)
			pass(time.Minute)
			b.mustOwn(p, "weight=3")
		})
	}
}

func TestRegisterAgainReplacesTheMetadata(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.register(p, "Arith", "weight=1")
		b.register(p, "Arith", "weight=2")
		pass(time.Second)
		b.mustOwn(p, "weight=2")
		b.register(p, "/Arith", "weight=3")
		pass(time.Second)
		b.mustOwn(p, "weight=3")
		b.register(p, "Arith", "")
		pass(time.Second)
		b.mustOwn(p, "")
		if len(p.Services) != 1 || p.Services[0] != "Arith" {
			b.Errorf("services %q", p.Services)
		}
	})
}

func TestFunctionsShareTheirServicesNode(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		for _, tc := range [...][2]string{{"", ""}, {"weight=1", "weight=1"}, {"", "weight=1"}, {"group=a", "group=a"}, {"", "group=a"}} {
			must(b, p.RegisterFunction("Arith", "mul", nil, tc[0]))
			pass(time.Second)
			b.mustOwn(p, tc[1])
		}
		if len(p.Services) != 1 {
			b.Errorf("services %q", p.Services)
		}
		must(b, p.Unregister("Arith")) // rpcx says it once
		b.mustBeGone()
	})
}

// One more function of a service that is registered is nothing new to ZooKeeper, unless it brings other metadata.
func TestAnotherFunctionIsNoClaim(t *testing.T) {
	inBubble(t, func(b bubble) {
		old := b.plugin()
		must(b, old.RegisterFunction("Arith", "mul", nil, "weight=1"))
		pass(time.Second)
		was := b.zk.Stats()
		for _, metadata := range []string{"", "weight=1"} {
			must(b, old.RegisterFunction("Arith", "add", nil, metadata))
			b.mustOwn(old, "weight=1") // all the time
			pass(time.Second)
		}
		if n := b.zk.Stats().Since(was); n.Total() != 0 {
			b.Errorf("it costs %v", n.Requests)
		}
		p := b.plugin()
		b.register(p, "Arith", "weight=2")
		pass(time.Second)
		must(b, old.RegisterFunction("Arith", "sub", nil, "weight=1"))
		pass(time.Second)
		b.mustOwn(p, "weight=2")
		must(b, old.RegisterFunction("Arith", "sub", nil, "weight=3"))
		pass(time.Second)
		b.mustOwn(old, "weight=3")
	})
}

func TestMetadataUpToTheLimit(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		long := strings.Repeat("x", maxMetadata)
		if err := p.Register("Arith", nil, long+"x"); err == nil || !strings.Contains(err.Error(), "1000001 bytes") || !strings.Contains(err.Error(), `"Arith"`) {
			b.Errorf("too long: %.200v", err)
		}
		must(b, b.zk.Put(nodePath, []byte("in the way")))
		b.register(p, "Arith", long)
		pass(time.Second)
		b.mustOwn(p, long)
		if st := p.Status(); st.Connections != 1 {
			b.Errorf("%d connections", st.Connections)
		}
	})
}

func TestAddressesOfEveryNetwork(t *testing.T) {
	for address, name := range map[string]string{
		"tcp@[2001:db8::1]:8972":    "tcp@[2001:db8::1]:8972",
		"tcp@[fe80::1%eth0]:8972":   "tcp@[fe80::1%eth0]:8972",
		"http@host.example:80":      "http@host.example:80",
		"quic@10.0.0.1:1":           "quic@10.0.0.1:1",
		"kcp@10.0.0.1:1":            "kcp@10.0.0.1:1",
		"unix@/run/holdfast/a.sock": "unix@%2Frun%2Fholdfast%2Fa.sock",
		"memu@anything":             "memu@anything",
		"mine@a/b?c":                "mine@a%2Fb?c",
	} {
		inBubble(t, func(b bubble) {
			p := b.plugin(WithZKServiceAddress(address))
			b.register(p, "Arith", "")
			pass(time.Second)
			children, err := b.zk.Children("/rpcx/Arith")
			if err != nil || fmt.Sprint(children) != "["+name+"]" || !p.Registered() {
				b.Errorf("%s: %q, %v", address, children, err)
			}
		})
	}
}
