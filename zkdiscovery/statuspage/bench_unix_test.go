//go:build unix

package statuspage

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// core tells how much of a core an operation takes that is done once a second. It is processor time: other programs on the machine do not count.
func core(b *testing.B) (report func()) {
	used := func() time.Duration {
		var u syscall.Rusage
		must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begun := used()
	return func() { b.ReportMetric(100*(used()-begun).Seconds()/float64(b.N), "%core") }
}

// Asked once a second, at 500 services of ten instances, a page may take 1 % of a core.
func BenchmarkPage(b *testing.B) {
	services := make(map[string]map[string]string)
	for i := range 500 {
		services[fmt.Sprintf("Service%d", i)] = make(map[string]string)
		for k := range 10 {
			services[fmt.Sprintf("Service%d", i)][fmt.Sprintf("tcp@127.1.0.%d:%d", k, i)] = "weight=5"
		}
	}
	_, sources := fleet(b, services)
	until(b, func() bool { // what goes on at the start is not the page's
		return !slices.ContainsFunc(sources.Discoveries["orders"].Status().Services, func(st zkdiscovery.Status) bool { return st.Saves == 0 })
	})
	h := New(sources)
	for name, query := range map[string]string{"500 services": "", "one of them": "?service=/rpcx/Service7", "JSON": "?format=json"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			report := core(b)
			for b.Loop() {
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/"+query, nil))
				_, _ = io.Copy(io.Discard, rec.Body)
			}
			report()
		})
	}
}
