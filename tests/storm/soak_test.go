//go:build linux

package storm

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var (
	soak    = flag.Duration("soak", 0, "how long it soaks; 0: not at all")
	soakOut = flag.String("soak.out", "", "where the plot goes (SVG)")
)

// sample is what a process takes at one moment.
type sample struct {
	at                                     time.Duration
	heap, goroutines, descriptors, threads float64
	files, processorTime/* since the last */ float64
}

var rows = []struct {
	name string
	of   func(sample) float64
}{
	{"heap in use, MB", func(s sample) float64 { return s.heap }},
	{"goroutines", func(s sample) float64 { return s.goroutines }},
	{"descriptors", func(s sample) float64 { return s.descriptors }},
	{"threads", func(s sample) float64 { return s.threads }},
	{"files", func(s sample) float64 { return s.files }},
	{"processor, % of a core", func(s sample) float64 { return s.processorTime }},
}

// TestSoak runs a client of 500 services, connected, with instances that come and go and connections that break, and with clients that are made and closed,
// and samples what it takes. The last quarter must take no more than the second.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("make soak DURATION=10m")
	}
	zk := zktest.Start(t)
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	tmpl, err := zkdiscovery.NewTemplate("rpcx", []string{zk.Addr()}, zkdiscovery.WithCacheDir(dir), zkdiscovery.WithLogger(log))
	harness.Must(t, err)
	t.Cleanup(tmpl.Close)
	var chans []chan []*client.KVPair
	for i := range 500 {
		service := fmt.Sprint("service", i)
		harness.Must(t, zk.Put("/rpcx/"+service+"/tcp@127.0.0.1:1", []byte("n=1")))
		chans = append(chans, tmpl.Service(service).WatchService())
	}
	var samples []sample
	began, last, cpu := time.Now(), time.Now(), processorTime()
	for n := 0; time.Since(began) < *soak; n++ {
		path := fmt.Sprintf("/rpcx/service%d/tcp@127.0.0.1:%d", n%500, 2+n%3)
		if zk.Set(path, []byte(fmt.Sprint("n=", n))) != nil {
			harness.Must(t, zk.Put(path, []byte("n=1")))
		} else if n%4 == 0 {
			_ = zk.Delete(path) // it is there
		}
		switch {
		case n%200 == 199:
			zk.DropConnections()
		case n%50 == 49:
			d, err := zkdiscovery.New("rpcx", "service1", []string{zk.Addr()}, zkdiscovery.WithCacheDir(dir), zkdiscovery.WithLogger(log))
			harness.Must(t, err)
			d.Close()
		}
		time.Sleep(20 * time.Millisecond) // the pace, not synchronisation
		if time.Since(last) > *soak/60 {
			s := take(dir)
			now := processorTime()
			s.at, s.processorTime = time.Since(began), 100*float64(now-cpu)/float64(time.Since(last))
			samples, last, cpu = append(samples, s), time.Now(), now
		}
	}
	for _, ch := range chans {
		select {
		case <-ch:
		default:
			t.Error("a watcher has nothing")
		}
	}
	if *soakOut != "" {
		harness.Must(t, os.WriteFile(*soakOut, []byte(plot(samples)), 0o600))
	}
	quarter := len(samples) / 4
	for _, row := range rows {
		second, fourth := median(samples[quarter:2*quarter], row.of), median(samples[3*quarter:], row.of)
		fmt.Printf("soak: %-24s %.1f in the second quarter, %.1f in the last (medians)\n", row.name, second, fourth)
		if row.name != rows[5].name && fourth > second*1.1+4 {
			t.Errorf("%s grows: %.1f after %.1f", row.name, fourth, second)
		}
	}
}

func median(samples []sample, of func(sample) float64) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, of(s))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func take(dir string) (s sample) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.heap, s.goroutines = float64(m.HeapInuse)/(1<<20), float64(runtime.NumGoroutine())
	fds, _ := os.ReadDir("/proc/self/fd")
	tasks, _ := os.ReadDir("/proc/self/task")
	s.descriptors, s.threads = float64(len(fds)), float64(len(tasks))
	_ = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			s.files++
		}
		return nil
	})
	return s
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// plot draws a line for each row, from nothing to its highest.
func plot(samples []sample) string {
	const width, height = 800, 90
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`, width+20, len(rows)*(height+30))
	for i, row := range rows {
		top, highest := i*(height+30)+20, 0.001
		for _, s := range samples {
			highest = max(highest, row.of(s))
		}
		fmt.Fprintf(&b, `<text x="10" y="%d">%s, at most %.1f</text><polyline fill="none" stroke="steelblue" points="`, top-4, row.name, highest)
		for _, s := range samples {
			fmt.Fprintf(&b, "%.1f,%.1f ", 10+width*float64(s.at)/float64(samples[len(samples)-1].at), float64(top)+height*(1-row.of(s)/highest))
		}
		b.WriteString(`"/>`)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
