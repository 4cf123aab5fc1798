package selector

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/share"
)

func TestWrapSaysWhatItNeeds(t *testing.T) {
	s := mustNew(t)
	xc := client.NewXClient("Kelp", client.Failfast, client.SelectByUser, newDiscovery(), client.DefaultOption)
	defer xc.Close()
	d := newDiscovery()
	for _, c := range []struct {
		what, want string
		call       func()
	}{
		{"no XClient", "needs an XClient", func() { Wrap(nil, s) }},
		{"no Selector", "needs a Selector", func() { Wrap(xc, nil) }},
		{"no discovery", "needs a ServiceDiscovery", func() { NewXClient("Kelp", client.Failfast, nil, client.DefaultOption, s) }},
		{"a discovery without a Selector", "needs a Selector", func() { NewXClient("Kelp", client.Failfast, d, client.DefaultOption, nil) }},
		{"nothing that is known", "needs an XClient", func() { WrapAs(nil, s, client.Failfast, client.DefaultOption) }},
		{"an empty pool", "at least one XClient", func() { NewXClientPool(0, "Kelp", client.Failfast, d, client.DefaultOption, s) }},
		{"a pool without a discovery", "needs a ServiceDiscovery", func() { NewXClientPool(1, "Kelp", client.Failfast, nil, client.DefaultOption, s) }},
		{"a pool without a Selector", "needs a Selector", func() { NewXClientPool(1, "Kelp", client.Failfast, d, client.DefaultOption, nil) }},
		{"a OneClient without a discovery", "needs a ServiceDiscovery", func() { NewOneClient(client.Failfast, nil, client.DefaultOption, nil) }},
		{"an empty pool of OneClients", "at least one OneClient", func() { NewOneClientPool(0, client.Failfast, d, client.DefaultOption, nil) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			defer func() {
				if said, _ := recover().(string); !strings.HasPrefix(said, "selector: ") || !strings.Contains(said, c.want) {
					t.Errorf("it said %q, want something with %q", said, c.want)
				}
			}()
			c.call()
		})
	}
}

func TestWrapRecognisesWhatRPCXMade(t *testing.T) {
	o := client.DefaultOption
	o.BackupLatency, o.Sticky, o.SerializeType, o.Group = 42*time.Millisecond, true, protocol.JSON, "a"
	o.GenBreaker = func() client.Breaker { return client.NewConsecCircuitBreaker(1, time.Minute) }
	messages := make(chan *protocol.Message)
	for _, mode := range []client.FailMode{client.Failover, client.Failfast, client.Failtry, client.Failbackup} {
		want := fmt.Sprintf("%+v", settings{true, mode, o})
		for what, xc := range map[string]client.XClient{
			"NewXClient":              client.NewXClient("Kelp", mode, client.SelectByUser, newDiscovery(), o),
			"NewBidirectionalXClient": client.NewBidirectionalXClient("Kelp", mode, client.SelectByUser, newDiscovery(), o, messages),
		} {
			if got := fmt.Sprintf("%+v", settingsOf(xc)); got != want {
				t.Errorf("%s of %v: %s, want %s: has rpcx renamed its fields?", what, mode, got, want)
			}
			_ = xc.Close()
		}
	}
}

// An XClient of somebody else's has settings that nobody knows. What it does with its context is paired all the same.
func TestAnXClientThatIsNotRPCXsIsWrappedToo(t *testing.T) {
	n := startNode(t)
	o := client.DefaultOption
	o.BackupLatency = never
	for _, mode := range []client.FailMode{client.Failfast, client.Failbackup} {
		s := mustNew(t)
		xc := Wrap(foreign{client.NewXClient("Kelp", mode, client.SelectByUser, newDiscovery(n.key), o)}, s)
		if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != nil {
			t.Fatal(err)
		}
		want := account{ok: 1}
		if mode == client.Failbackup { // rpcx's own: two Selects and no PostCall
			want = account{unknown: 2}
		}
		told(t, s, n.key, want)
		_ = xc.Close()
	}
}

type foreign struct{ client.XClient }

func TestWrapSaysThatItCannotSeeTheModeAndWrapAsIsTold(t *testing.T) {
	n := startNode(t)
	o := client.DefaultOption
	o.BackupLatency = never
	var log lines
	s := mustNew(t, WithLogger(log.logger(slog.LevelWarn)))
	made := func() client.XClient {
		return foreign{client.NewXClient("Kelp", client.Failbackup, client.SelectByUser, newDiscovery(n.key), o)}
	}
	xc := WrapAs(made(), s, client.Failbackup, o)
	if err := xc.Call(t.Context(), "Greet", &question, new(string)); err != nil {
		t.Fatal(err)
	}
	told(t, s, n.key, account{ok: 1})
	_ = xc.Close()
	if log.count("use WrapAs") != 0 {
		t.Error("WrapAs was told, and warns")
	}
	_ = Wrap(made(), s).Close()
	if log.count("use WrapAs") != 1 || log.count("selector.foreign") != 1 {
		t.Errorf("Wrap does not say that it cannot see the mode:\n%s", &log.text)
	}
}

func TestAContextOfAnotherXClientsCallIsNotOurs(t *testing.T) {
	n := startNode(t)
	below := client.NewXClient("Kelp", client.Failfast, client.SelectByUser, newDiscovery(n.key), client.DefaultOption)
	innerSelector := mustNew(t)
	inner := Wrap(below, innerSelector)
	defer inner.Close()
	outer, outerSelector := wrapped(t, client.Failfast, nil, n.key)
	bare, bareSelector := client.NewXClient("Kelp", client.Failfast, client.SelectByUser, newDiscovery(n.key), client.DefaultOption), mustNew(t)
	bare.SetSelector(bareSelector)
	defer bare.Close()
	p := client.NewPluginContainer()
	p.Add(preCall(func(ctx context.Context) error {
		if err := inner.Call(ctx, "Greet", &question, new(string)); err != nil {
			return err
		}
		if err := below.Call(ctx, "Greet", &question, new(string)); err != nil { // not through the wrapper
			return err
		}
		return bare.Call(ctx, "Greet", &question, new(string))
	}))
	outer.SetPlugins(p)
	if err := outer.Call(t.Context(), "Greet", &question, new(string)); err != nil {
		t.Fatal(err)
	}
	told(t, outerSelector, n.key, account{ok: 1})
	told(t, innerSelector, n.key, account{ok: 1})
	told(t, bareSelector, n.key, account{})
}

type preCall func(context.Context) error

func (f preCall) PreCall(ctx context.Context, _, _ string, _ any) error { return f(ctx) }

func TestMetadataAndDeadlinesPassThroughTheWrapper(t *testing.T) {
	n := startNode(t)
	for _, mode := range []client.FailMode{client.Failfast, client.Failbackup} {
		for what, with := range map[string]func(context.Context, any, any) context.Context{
			"context.Context": func(ctx context.Context, key, value any) context.Context { return context.WithValue(ctx, key, value) },
			"share.Context":   func(ctx context.Context, key, value any) context.Context { return share.WithValue(ctx, key, value) },
		} {
			t.Run(fmt.Sprintf("%v/%s", mode, what), func(t *testing.T) {
				xc, _ := wrapped(t, mode, backup(never), n.key)
				answer, reply := map[string]string{}, ""
				ctx := with(with(within(t, time.Minute), share.ReqMetaDataKey, map[string]string{"say": "hello"}), share.ResMetaDataKey, answer)
				if err := xc.Call(ctx, "Echo", &question, &reply); err != nil {
					t.Fatal(err)
				}
				if ms, err := strconv.Atoi(reply); ms < 1 || ms > 60_000 || err != nil {
					t.Errorf("the server has %q ms", reply)
				}
				if mode == client.Failfast && answer["echo"] != "hello" { // rpcx's Failbackup gives back none
					t.Errorf("the answer's metadata are %v", answer)
				}
				call, err := xc.Go(ctx, "Echo", &question, new(string), nil)
				if err != nil {
					t.Fatal(err)
				}
				if <-call.Done; call.Error != nil || call.ResMetadata["echo"] != "hello" || call.Metadata["say"] != "hello" {
					t.Errorf("Go: %v, metadata %v, answered %v", call.Error, call.Metadata, call.ResMetadata)
				}
			})
		}
	}
}

// What is measured is what the server takes, not what the plugins take before, in each mode that measures.
func TestLatencyIsTheServers(t *testing.T) {
	n := startNode(t)
	const takes, plugins = 30 * time.Millisecond, 2 * time.Second
	n.delay.Store(int64(takes))
	for what, call := range map[string]func(client.XClient) error{
		"Call": func(xc client.XClient) error { return xc.Call(t.Context(), "Greet", &question, new(string)) },
		"Go": func(xc client.XClient) error {
			call, err := xc.Go(t.Context(), "Greet", &question, new(string), nil)
			if err != nil {
				return err
			}
			return (<-call.Done).Error
		},
		"SendRaw": func(xc client.XClient) error { _, _, err := xc.SendRaw(t.Context(), raw("Greet")); return err },
		"Inform": func(xc client.XClient) error {
			_, err := xc.Inform(t.Context(), "Greet", &question, new(string))
			return err
		},
	} {
		for _, mode := range []client.FailMode{client.Failfast, client.Failover, client.Failtry, client.Failbackup} {
			t.Run(fmt.Sprintf("%s/%v", what, mode), func(t *testing.T) {
				t.Parallel()
				xc, s := wrapped(t, mode, backup(never), n.key)
				xc.SetPlugins(containing(preCall(func(context.Context) error { time.Sleep(plugins); return nil })))
				if err := call(xc); err != nil {
					t.Fatal(err)
				}
				told(t, s, n.key, account{ok: 1})
				if took := s.Status().Servers[0].Peak; took < takes || took >= plugins {
					t.Errorf("the server took %v and the plugin %v, but the selector was told %v", takes, plugins, took)
				}
			})
		}
	}
}

func TestBidirectionalClientsReceiveTheirServersMessages(t *testing.T) {
	n := startNode(t)
	messages := make(chan *protocol.Message, 1)
	d, o, s := newDiscovery(n.key), client.DefaultOption, mustNew(t)
	push := func(xc client.XClient) error { return xc.Call(t.Context(), "Push", &question, new(string)) }
	pushes := func(c *OneClient) error { return c.Call(t.Context(), "Kelp", "Push", &question, new(string)) }

	xc := Wrap(client.NewBidirectionalXClient("Kelp", client.Failfast, client.SelectByUser, d, o, messages), s)
	defer xc.Close()
	xs := NewBidirectionalXClientPool(1, "Kelp", client.Failfast, d, o, s, messages)
	defer xs.Close()
	one := NewBidirectionalOneClient(client.Failfast, d, o, nil, messages)
	defer one.Close()
	ones := NewBidirectionalOneClientPool(1, client.Failfast, d, o, nil, messages)
	defer ones.Close()
	for what, call := range map[string]func() error{
		"XClient":       func() error { return push(xc) },
		"XClientPool":   func() error { return push(xs.Get()) },
		"OneClient":     func() error { return pushes(one) },
		"OneClientPool": func() error { return pushes(ones.Get()) },
	} {
		if err := call(); err != nil {
			t.Fatal(what, err)
		}
		if m := <-messages; string(m.Payload) != "news" {
			t.Errorf("%s: the message is %q", what, m.Payload)
		}
	}
	told(t, s, n.key, account{ok: 2})
}

func TestStreamAndFilesTellOfTheirCall(t *testing.T) {
	n := startNode(t, share.SendFileServiceName, share.StreamServiceName)
	c := NewOneClient(client.Failfast, newDiscovery(n.key), client.DefaultOption, nil)
	defer c.Close()
	conn, err := c.Stream(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if streamed, err := io.ReadAll(conn); string(streamed) != "a holdfast" {
		t.Errorf("%q was streamed, %v", streamed, err)
	}
	var got bytes.Buffer
	if err := c.DownloadFile(t.Context(), "frond", &got, nil); err != nil || got.String() != "a holdfast" {
		t.Errorf("%q was downloaded, %v", &got, err)
	}
	name := filepath.Join(t.TempDir(), "frond")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.SendFile(t.Context(), name, 0, nil); err != nil {
		t.Error("SendFile:", err)
	}
	for path, want := range map[string]account{share.SendFileServiceName: {ok: 2}, share.StreamServiceName: {ok: 1}} {
		x, err := c.xclient(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		told(t, x.(*xclient).s, n.key, want)
	}

	// In the mode Failbackup their call is rpcx's own, with two picks and no PostCall.
	s := mustNew(t)
	o := client.DefaultOption
	o.BackupLatency = never // or the server waits for whom its second answer was for
	xc := NewXClientPool(1, share.StreamServiceName, client.Failbackup, newDiscovery(n.key), o, s)
	defer xc.Close()
	if conn, err = xc.Get().Stream(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if got := accountOf(s, n.key); got.unknown < 2 || got != (account{unknown: got.unknown}) {
		t.Errorf("the selector was told %+v, want nothing but picks that were released", got)
	}
}

// rpcx's own Failbackup selects once for nothing, and its requests were taken for retries: of 400 streams that began at once none was had.
func TestStreamsAndDownloadsInFailbackupNeedNoBudget(t *testing.T) {
	n := startNode(t, share.StreamServiceName)
	s := mustNew(t, WithRetryBudget(0, 0))
	o := client.DefaultOption
	o.BackupLatency = never // or the server waits for whom its second answer was for
	xc := NewXClient(share.StreamServiceName, client.Failbackup, newDiscovery(n.key), o, s)
	defer xc.Close()
	ready(t, s)
	ctx := within(t, patience)
	for what, call := range map[string]func() error{ // SendFile's call is made in the same way
		"Stream": func() error {
			conn, err := xc.Stream(ctx, nil)
			if err == nil {
				_ = conn.Close()
			}
			return err
		},
		"DownloadFile": func() error { return xc.DownloadFile(ctx, "frond", io.Discard, nil) },
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if st := s.Status(); st.Retries != 0 || st.RetriesDenied != 0 {
		t.Errorf("%d retries, %d denied", st.Retries, st.RetriesDenied)
	}
}
