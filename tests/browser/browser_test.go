// Package browser looks at the status page with a real browser, headless Chromium. It is a module of its own, so that the browser's driver is no dependency of
// the library.
package browser

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/metrics"
	"github.com/holdfast-go/holdfast/zkdiscovery/statuspage"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// chromium finds the browser. Without one the test is skipped, unless HOLDFAST_BROWSER=required.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("HOLDFAST_BROWSER") == "required" {
		t.Fatal("no Chromium: apt-get install chromium")
	}
	t.Skip("no Chromium: apt-get install chromium")
	return ""
}

// tab is a page in the browser, with what it complains of.
type tab struct {
	context.Context
	mu       sync.Mutex
	mistakes []string
}

func open(t *testing.T) *tab {
	t.Helper()
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(chromium(t)), chromedp.NoSandbox)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	ctx, cancelAllocator := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancelAllocator)
	ctx, cancelTab := chromedp.NewContext(ctx)
	t.Cleanup(cancelTab)
	b := &tab{Context: ctx}
	must(t, chromedp.Listen(ctx, func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *log.EventEntryAdded: // violations of the policy are here
			if !strings.HasSuffix(ev.Entry.URL, "/favicon.ico") {
				b.mistakes = append(b.mistakes, ev.Entry.Text)
			}
		case *runtime.EventConsoleAPICalled:
			b.mistakes = append(b.mistakes, "console: "+ev.Type.String())
		case *runtime.EventExceptionThrown:
			b.mistakes = append(b.mistakes, "exception: "+ev.ExceptionDetails.Text)
		}
	}))
	return b
}

func (b *tab) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	must(t, chromedp.Do(b, actions...))
}

// evaluate is the value of an expression on the page.
func evaluate[T any](t *testing.T, b *tab, expression string) T {
	t.Helper()
	value, err := chromedp.Run(b, chromedp.Evaluate[T](expression))
	must(t, err)
	return value
}

// call is a command of the browser's protocol.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, command, params)
		return err
	})
}

// colours has the page shown to somebody who prefers the dark, or the light.
func colours(scheme string) chromedp.Action[chromedp.Void] {
	return call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// shot takes a picture into $HOLDFAST_SCREENSHOTS, if somebody wants it.
func (b *tab) shot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("HOLDFAST_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b, chromedp.FullScreenshot(100))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

// fits wants everything to be within the width of the screen: nothing is to be moved sideways to be seen.
func (b *tab) fits(t *testing.T, what string) {
	t.Helper()
	beyond := evaluate[[]string](t, b, `[...document.querySelectorAll("body *")].filter(e => {
		const r = e.getBoundingClientRect();
		return r.width > 0 && (r.left < 0 || r.right > document.documentElement.clientWidth + 0.5 || e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX !== "visible");
	}).map(e => e.tagName + "." + e.className + ": " + e.innerText.slice(0, 60))`)
	if len(beyond) > 0 {
		t.Errorf("%s: beyond the screen: %q", what, beyond)
	}
	if evaluate[bool](t, b, "document.documentElement.scrollWidth > document.documentElement.clientWidth") {
		t.Errorf("%s: wider than the screen", what)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestABrowserShowsTheStateBeforeDuringAndAfterAnOutage(t *testing.T) {
	b := open(t)
	zk := zktest.NewServer()
	defer zk.Close()
	const evil = "/rpcx/<img src=x onerror=document.title='broken'>"
	for path, metadata := range map[string]string{
		"/rpcx/Arith/tcp@127.1.0.1:8972": "weight=5&zone=a", "/rpcx/Arith/tcp@127.1.0.2:8972": "weight=1",
		evil + "/tcp@<script>document.title='broken'<": "\x1b[31m\u202e" + strings.Repeat("<b>", 100<<10),
	} {
		must(t, zk.Put(path, []byte(metadata)))
	}
	d, err := zkdiscovery.NewTemplate("/rpcx", []string{"zk:2181"}, zkdiscovery.WithDialer(zk.Dial), zkdiscovery.WithCacheDir(t.TempDir()),
		zkdiscovery.WithLogger(slog.New(slog.DiscardHandler)))
	must(t, err)
	defer d.Close()
	for _, service := range []string{"Arith", strings.TrimPrefix(evil, "/rpcx/")} {
		must(t, d.Service(service).WaitLive(t.Context()))
	}
	server := httptest.NewServer(statuspage.New(metrics.Sources{Discoveries: map[string]*zkdiscovery.Discovery{"orders": d}}))
	defer server.Close()

	texts := func(selector string) []string {
		return evaluate[[]string](t, b, "[...document.querySelectorAll('"+selector+"')].map(e => e.innerText)")
	}
	visit := func(query string) {
		b.do(t, chromedp.Navigate(server.URL+"/?refresh=0"+query), chromedp.WaitVisible(chromedp.CSS("h1")))
	}

	b.do(t, call(log.Enable, cdp.Empty{}), chromedp.EmulateViewport(1200, 900))
	visit("")
	if got := texts(".services td.source"); !slices.Equal(got, []string{"live", "live"}) {
		t.Errorf("sources %q", got)
	}
	b.shot(t, "before")
	b.do(t, chromedp.Click(chromedp.Search(`//a[text()="/rpcx/Arith"]`)), chromedp.WaitVisible(chromedp.CSS(".instances")))
	if got := texts(".instances td"); !slices.Contains(got, "tcp@127.1.0.1:8972") || !slices.Contains(got, "weight=5&zone=a") {
		t.Errorf("instances %q", got)
	}
	visit("&service=" + url.QueryEscape(evil))
	title, images := evaluate[string](t, b, "document.title"), evaluate[int](t, b, "document.images.length + document.scripts.length")
	if title != "Holdfast" || images != 0 {
		t.Errorf("title %q, %d images and scripts: something from outside has run", title, images)
	}
	b.shot(t, "hostile")

	zk.Stop()
	for d.Changes()[len(d.Changes())-1].Source != zkdiscovery.Stale {
		if t.Context().Err() != nil || b.Err() != nil {
			t.Fatal("the outage is not noticed")
		}
		visit("")
	}
	visit("")
	if got := texts(".services td.source"); !slices.Equal(got, []string{"stale", "stale"}) {
		t.Errorf("sources in an outage %q", got)
	}
	b.shot(t, "during")
	b.do(t, chromedp.EmulateViewport(390, 844), colours("dark"))
	visit("")
	if background := evaluate[string](t, b, "getComputedStyle(document.body).backgroundColor"); background != "rgb(20, 23, 26)" {
		t.Errorf("in the dark: background %s", background)
	}
	b.shot(t, "phone")
	for _, query := range []string{"", "&service=/rpcx/Arith", "&service=" + url.QueryEscape(evil)} {
		for _, width := range []int64{320, 390, 768} {
			b.do(t, chromedp.EmulateViewport(width, 844))
			visit(query)
			b.fits(t, fmt.Sprintf("%d wide, %s", width, query))
			if seen := evaluate[int](t, b, `[...document.querySelectorAll(".timeline td.source")].filter(e => e.getBoundingClientRect().width > 0).length`); seen == 0 {
				t.Errorf("%d wide, %s: no change says where the list came from", width, query)
			}
		}
	}
	must(t, zk.Start())
	must(t, d.Service("Arith").WaitLive(t.Context()))
	b.do(t, chromedp.EmulateViewport(1200, 900), colours("light"))
	visit("&service=/rpcx/Arith")
	if got := texts(".services td.source"); !slices.Equal(got, []string{"live"}) {
		t.Errorf("sources after the outage %q", got)
	}
	b.shot(t, "after")
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mistakes) > 0 {
		t.Errorf("the browser complains: %q", b.mistakes)
	}
}
