package browser

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// drill is the outage drill, as anybody runs it, with its status page.
type drill struct {
	page  string // its address
	tells chan string
	ended chan struct{}
}

func startDrill(t *testing.T) *drill {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "example.exe")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./example")
	build.Dir, build.Env = "../..", append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Slower than usual, so that there is time to look, also on a machine that has other things to do.
	cmd := exec.CommandContext(t.Context(), binary, "-status", "127.0.0.1:0", "-step", "5s")
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it leaves nothing behind
	cmd.WaitDelay = time.Minute
	must(t, cmd.Start())
	d := &drill{tells: make(chan string, 1), ended: make(chan struct{})}
	var read sync.WaitGroup
	read.Go(func() {
		defer close(d.ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			t.Log(lines.Text())
			if _, page, found := strings.Cut(lines.Text(), "The status page is at "); found {
				d.tells <- page
			}
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		read.Wait()
		_ = cmd.Wait() // 130
	})
	select {
	case d.page = <-d.tells:
	case <-d.ended:
		t.Fatal("the drill does not say where its page is")
	}
	return d
}

// shown are the blocks of docs/operating.md that say what the page shows, by the moment.
func shown(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operating.md")
	must(t, err)
	blocks := make(map[string][]string)
	for _, block := range regexp.MustCompile("(?s)```page (\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks[block[1]] = strings.Split(strings.TrimSuffix(block[2], "\n"), "\n")
	}
	return blocks
}

// missing are those of want that no line of the page is like: … is any text, and any space is one.
func missing(page string, want []string) []string {
	one := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	return slices.DeleteFunc(slices.Clone(want), func(line string) bool {
		like := regexp.MustCompile("(?m)^" + strings.ReplaceAll(regexp.QuoteMeta(one(line)), "…", ".*") + "$")
		return slices.ContainsFunc(strings.Split(page, "\n"), func(shown string) bool { return like.MatchString(one(shown)) })
	})
}

// The page in docs/operating.md is what anybody sees who holds the drill; make screenshots has pictures of the same moments.
func TestThePageShowsTheDrillAsTheDocsSay(t *testing.T) {
	blocks := shown(t)
	b := open(t)
	d := startDrill(t)
	for _, moment := range []string{"before", "during", "after"} {
		if len(blocks[moment]) < 4 {
			t.Fatalf("docs/operating.md does not say what the page shows %s", moment)
		}
		b.do(t, chromedp.EmulateViewport(1200, 900), colours("light"))
		var page string
		for left := blocks[moment]; len(left) > 0; {
			select {
			case <-d.ended:
				t.Fatalf("%s the outage the page has not shown %q, but\n%s", moment, left, page)
			default:
			}
			b.do(t, chromedp.Navigate(d.page+"?refresh=0"), chromedp.WaitVisible(chromedp.CSS("h1")))
			page = evaluate[string](t, b, "document.body.innerText")
			left = missing(page, blocks[moment])
		}
		b.shot(t, "drill-"+moment)
		b.do(t, chromedp.EmulateViewport(390, 844), colours("dark"))
		b.fits(t, moment)
		b.shot(t, "drill-"+moment+"-phone")
	}
}
