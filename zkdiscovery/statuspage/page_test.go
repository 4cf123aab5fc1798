package statuspage

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// fleet is a ZooKeeper with services, by their instances and their metadata, and a template with a clone of each.
func fleet(tb testing.TB, services map[string]map[string]string) (*zktest.Server, metrics.Sources) {
	tb.Helper()
	zk := zktest.NewServer()
	tb.Cleanup(zk.Close)
	for service, instances := range services {
		for key, metadata := range instances {
			must(tb, zk.Put("/rpcx/"+service+"/"+key, []byte(metadata)))
		}
	}
	d, err := zkdiscovery.NewTemplate("/rpcx", []string{"zk:2181"}, zkdiscovery.WithDialer(zk.Dial), zkdiscovery.WithCacheDir(tb.TempDir()),
		zkdiscovery.WithAuth("digest", []byte("user:s3cret")), zkdiscovery.WithLogger(slog.New(slog.DiscardHandler)),
		zkdiscovery.WithGuard(zkdiscovery.Guard{Probe: func(context.Context, string, string) error { return nil }}))
	must(tb, err)
	tb.Cleanup(d.Close)
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	for service := range services {
		must(tb, d.Service(service).WaitLive(ctx))
	}
	return zk, metrics.Sources{Discoveries: map[string]*zkdiscovery.Discovery{"orders": d}}
}

func get(tb testing.TB, h http.Handler, query string) *httptest.ResponseRecorder {
	tb.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/debug/holdfast"+query, nil))
	if rec.Code != http.StatusOK {
		tb.Fatalf("%s: %d %s", query, rec.Code, rec.Body)
	}
	return rec
}

func wants(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(page, part) {
			t.Errorf("%q is not in\n%s", part, page)
		}
	}
}

func TestThePageShowsWhatAPersonWantsToKnow(t *testing.T) {
	_, sources := fleet(t, map[string]map[string]string{
		"Arith": {"tcp@a:1": "weight=5&zone=x", "tcp@b:1": ""}, "Echo": {"tcp@c:1": ""},
	})
	s, err := selector.New(selector.WithoutProbing())
	must(t, err)
	defer func() { _ = s.Close() }()
	s.UpdateServer(map[string]string{"tcp@a:1": "", "tcp@b:1": ""})
	sources.Selectors = map[string]*selector.Selector{"Arith": s, "none": nil}
	p := serverplugin.NewZooKeeperRegisterPlugin()
	sources.Plugins = map[string]*serverplugin.ZooKeeperRegisterPlugin{"billing": p, "none": nil}
	h := New(sources)
	all := get(t, h, "").Body.String()
	wants(t, all, "orders", "/rpcx/Arith", "/rpcx/Echo", `<td class="source live">live`, "connected to zk:2181 for", "connected, new session",
		"billing: registration", "not registered", "?name=orders&amp;service=%2Frpcx%2FArith")
	if strings.Contains(all, "tcp@a:1</td>") {
		t.Error("instances of one of several services")
	}
	one := get(t, h, "?name=orders&service=/rpcx/Arith").Body.String()
	wants(t, one, "tcp@a:1", "weight=5&amp;zone=x", "2 of 2", "share of picks", "0.0 %")
	until(t, func() bool {
		return strings.Contains(get(t, h, "?service=/rpcx/Arith").Body.String(), "<td>saved once")
	})
	if strings.Contains(one, "/rpcx/Echo") {
		t.Error("another service")
	}
	if strings.Contains(all+one, "s3cret") {
		t.Error("credentials")
	}
}

func TestThePageSaysWhatIsMadeUseOfOnTheServer(t *testing.T) {
	zk, sources := fleet(t, map[string]map[string]string{"Arith": {"tcp@a:1": ""}})
	page := get(t, New(sources), "").Body.String()
	wants(t, page, "(persistent watches, batched reads)</p>")
	zk.Stop()
	until(t, func() bool { return !sources.Discoveries["orders"].Status().Connected })
	if page := get(t, New(sources), "").Body.String(); strings.Contains(page, "watches") {
		t.Errorf("without a server, the page says what it has:\n%s", page)
	}
	old := zktest.NewServer(zktest.WithVersion(zktest.Version34))
	defer old.Close()
	d, err := zkdiscovery.NewTemplate("/rpcx", []string{"zk:2181"}, zkdiscovery.WithDialer(old.Dial), zkdiscovery.WithoutCache(), zkdiscovery.WithLogger(slog.New(slog.DiscardHandler)))
	must(t, err)
	defer d.Close()
	until(t, func() bool { return d.Status().Connected })
	page = get(t, New(metrics.Sources{Discoveries: map[string]*zkdiscovery.Discovery{"old": d}}), "").Body.String()
	wants(t, page, "(one-shot watches, single reads)</p>")
}

func TestThePageShowsARegistrationAndWhatAnOperatorHasSaid(t *testing.T) {
	zk, sources := fleet(t, nil)
	p := serverplugin.NewZooKeeperRegisterPlugin(serverplugin.WithZKServiceAddress("tcp@127.0.0.1:1"), serverplugin.WithZKBasePath("rpcx"),
		serverplugin.WithZKServersAddress([]string{"zk:2181"}), serverplugin.WithDialer(zk.Dial), serverplugin.WithLogger(slog.New(slog.DiscardHandler)))
	must(t, p.Register("Greeter", nil, ""))
	defer func() { _ = p.Stop() }()
	until(t, p.Registered)
	must(t, zk.Set("/rpcx/Greeter/tcp@127.0.0.1:1", []byte("state=inactive")))
	until(t, func() bool { return len(p.Status().Services[0].Operator) == 1 })
	sources.Plugins = map[string]*serverplugin.ZooKeeperRegisterPlugin{"billing": p}
	wants(t, get(t, New(sources), "").Body.String(), "billing: registration", `<p class="good">registered`, "<td>registered<td>", "/rpcx/Greeter/tcp@127.0.0.1:1", "state=inactive")
}

func TestThePageTellsOfAnOutage(t *testing.T) {
	zk, sources := fleet(t, map[string]map[string]string{"Arith": {"tcp@a:1": "", "tcp@b:1": ""}})
	d := sources.Discoveries["orders"]
	for _, key := range []string{"tcp@a:1", "tcp@b:1"} {
		must(t, zk.Delete("/rpcx/Arith/"+key))
	}
	until(t, func() bool {
		held := d.Status().Services[0].HeldServers
		return len(held) == 2 && held[0].Reason == zkdiscovery.HeldAnswers && held[1].Reason == zkdiscovery.HeldAnswers
	})
	wants(t, get(t, New(sources), "").Body.String(), "Held by the guard", "answers", "as long as nothing else happens", `<tr class="held">`, "tcp@b:1")
	zk.Stop()
	until(t, func() bool { return d.Status().Services[0].Source == zkdiscovery.Stale })
	until(t, func() bool { c := d.Changes(); return c[len(c)-1].Source == zkdiscovery.Stale })
	wants(t, get(t, New(sources), "").Body.String(), `<td class="source stale">stale`, "not connected for", "lost")
	d.Close()
	get(t, New(sources), "")
}

// Met while walking docs/operating.md with wrong credentials: connected, nothing listed, and the page did not say why.
func TestThePageSaysWhyThereIsNoList(t *testing.T) {
	zk, sources := fleet(t, map[string]map[string]string{"Arith": {"tcp@a:1": ""}})
	must(t, zk.SetACL("/rpcx/Arith", []zktest.ACL{{Perms: 31, Scheme: "digest", ID: "somebody:else"}}))
	zk.ExpireAll()
	h := New(sources)
	const why = "/rpcx/Arith: ZooKeeper does not give the list: zk: not authenticated"
	until(t, func() bool { return strings.Contains(get(t, h, "").Body.String(), why) })
	zk.Stop()
	until(t, func() bool { return !sources.Discoveries["orders"].Status().Connected })
	if page := get(t, h, "").Body.String(); strings.Contains(page, why) {
		t.Error("nobody can be asked, and yet it is said what ZooKeeper says")
	}
}

// Met while looking for a drain that was forgotten: the Selector does not have the instance, and its state was blank.
func TestThePageSaysThatAnInstanceIsDrained(t *testing.T) {
	_, sources := fleet(t, map[string]map[string]string{"Arith": {"tcp@a:1": "weight=5&state=inactive", "tcp@b:1": ""}})
	s, err := selector.New(selector.WithoutProbing())
	must(t, err)
	defer func() { _ = s.Close() }()
	s.UpdateServer(map[string]string{"tcp@b:1": ""})
	sources.Selectors = map[string]*selector.Selector{"Arith": s}
	wants(t, get(t, New(sources), "").Body.String(), `weight=5&amp;state=inactive<td>drained<td>`)
}

// until waits for a condition.
func until(tb testing.TB, is func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(deadline) {
			tb.Fatal("has not come")
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestTheSameAsJSON(t *testing.T) {
	_, sources := fleet(t, map[string]map[string]string{"Arith": {"tcp@a:1": "weight=5"}})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", "application/json")
	rec := httptest.NewRecorder()
	New(sources).ServeHTTP(rec, r)
	var got struct {
		At          time.Time
		Discoveries []struct {
			Name   string
			Status struct {
				Template bool
				Wire     string
				Services []struct {
					Service, Source string
					Instances       int
				}
			}
			Changes []struct{ Kind string }
			List    struct {
				Service   string
				Instances []struct {
					Key, Metadata string
					Held          bool
				}
			}
		}
		Plugins, Selectors []any
	}
	must(t, json.Unmarshal(rec.Body.Bytes(), &got))
	d := got.Discoveries[0]
	if got.At.IsZero() || d.Name != "orders" || !d.Status.Template || d.Status.Wire != "persistent watches, batched reads" || d.Status.Services[0].Source != "live" || d.Changes[0].Kind != "source" ||
		d.List.Instances[0].Metadata != "weight=5" || got.Plugins == nil || got.Selectors == nil || rec.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s", rec.Body)
	}
	if again := get(t, New(sources), "?format=json").Body.Bytes(); !json.Valid(again) {
		t.Errorf("%s", again)
	}
}

func TestThePageRunsAndLoadsNothing(t *testing.T) {
	_, sources := fleet(t, map[string]map[string]string{"Arith": {"tcp@a:1": ""}})
	rec := get(t, New(sources), "?refresh=7")
	h := rec.Header()
	if policy := h.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
	if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" || h.Get("Refresh") != "7" {
		t.Errorf("%v", h)
	}
	if h := get(t, New(sources), "?refresh=0").Header(); h.Get("Refresh") != "" {
		t.Errorf("%v", h)
	}
	page := rec.Body.String()
	for _, never := range []string{"<script", "src=", "http:", "https:", "@import", "url(", " on", "ZgotmplZ"} {
		if strings.Contains(strings.ReplaceAll(page, "from 0 on", ""), never+"=") || never != " on" && strings.Contains(page, never) {
			t.Errorf("%q in\n%s", never, page)
		}
	}
}

func TestOnlyReadingIsAnswered(t *testing.T) {
	h := New(metrics.Sources{})
	for method, want := range map[string]int{http.MethodGet: 200, http.MethodHead: 200, http.MethodPost: 405, http.MethodDelete: 405} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(method, "/", nil))
		if rec.Code != want {
			t.Errorf("%s: %d", method, rec.Code)
		}
	}
	for _, query := range []string{"?from=-1", "?from=x", "?from=99999999999999999999", "?refresh=-3", "?service=/none", "?name=none", "?format=xml", "?%zz"} {
		get(t, h, query)
	}
}

func TestWhatComesFromOutsideIsHarmlessAndBounded(t *testing.T) {
	evil := "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
	hostile := map[string]string{
		"tcp@<script>alert(2)</script>":    evil,
		"tcp@\u202egnp.exe":                "state=\x1b[31mred\u202e&\x00&\u2028",
		"tcp@long":                         strings.Repeat("<b>", 300<<10),
		"tcp@" + strings.Repeat("k", 5000): "\xff\xfe",
	}
	_, sources := fleet(t, map[string]map[string]string{"<img src=x onerror=alert(3)>": hostile})
	name := evil + strings.Repeat("n", 1<<20)
	sources.Discoveries[name] = sources.Discoveries["orders"]
	for _, query := range []string{"", "?service=" + url.QueryEscape("/rpcx/<img src=x onerror=alert(3)>"), "?name=" + url.QueryEscape(evil), "?service=" + url.QueryEscape(evil)} {
		page := get(t, New(sources), query).Body.String()
		for _, never := range []string{"<script", "<img", "<b>", "\x1b", "\x00", "\u202e", "\u2028", "\xff"} {
			if strings.Contains(page, never) {
				t.Errorf("%s: %q is in the page", query, never)
			}
		}
		if len(page) > 64<<10+len(url.QueryEscape(name))*4 {
			t.Errorf("%s: %d bytes", query, len(page))
		}
	}
	if b := get(t, New(sources), "?format=json").Body.Bytes(); !json.Valid(b) || strings.Contains(string(b), "<script") {
		t.Error("the JSON is not harmless")
	}
}

func TestManyServicesAreShownInPartsThoseToLookAtFirst(t *testing.T) {
	many := make(map[string]map[string]string)
	for i := range 205 {
		many[fmt.Sprintf("S%03d", i)] = map[string]string{"tcp@a:1": ""}
	}
	zk, sources := fleet(t, many)
	must(t, zk.Delete("/rpcx/S204/tcp@a:1"))
	h := New(sources)
	until(t, func() bool {
		page := get(t, h, "").Body.String()
		first := strings.Index(page, ">/rpcx/S204</a>")
		return first > 0 && first < strings.Index(page, ">/rpcx/S000</a>")
	})
	page := get(t, h, "").Body.String()
	wants(t, page, "200 of 205 services, those to look at first", "services=200")
	if strings.Contains(page, ">/rpcx/S203</a>") {
		t.Error("more than 200")
	}
	wants(t, get(t, h, "?services=200").Body.String(), ">/rpcx/S203</a>", "5 of 205 services from 200 on")
	wants(t, get(t, h, "?services=4000").Body.String(), "1 of 205 services from 204 on")
	wants(t, get(t, h, "?service=/rpcx/S203&services=200").Body.String(), ">/rpcx/S203</a>", "1 of 1")
}

func TestManyInstancesAreShownInParts(t *testing.T) {
	many := make(map[string]string)
	for i := range 450 {
		many[fmt.Sprintf("tcp@h:%d", 1000+i)] = ""
	}
	_, sources := fleet(t, map[string]map[string]string{"Arith": many})
	h := New(sources)
	wants(t, get(t, h, "").Body.String(), "200 of 450", "from=200")
	wants(t, get(t, h, "?service=/rpcx/Arith&from=400").Body.String(), "50 of 450 from 400 on", "tcp@h:1449")
	wants(t, get(t, h, "?service=/rpcx/Arith&from=4000").Body.String(), "1 of 450 from 449 on")
}
