//go:build unix

package prometheus_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	holdfast "github.com/holdfast-go/holdfast/zkdiscovery/prometheus"
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

// Scraped once a second, at 500 services of ten instances, the collector may take 1 % of a core. Of a whole gathering it is about a third; the rest is
// client_golang's, for some 9,500 samples.
func BenchmarkGatherOf500Services(b *testing.B) {
	services := make(map[string]int)
	for i := range 500 {
		services[fmt.Sprintf("Service%d", i)] = 10
	}
	c := holdfast.New(fleet(b, services))
	b.Run("Collect", func(b *testing.B) {
		b.ReportAllocs()
		report := core(b)
		for b.Loop() {
			samples := make(chan prometheus.Metric, 1000) // as client_golang has it
			taken := make(chan struct{})
			go func() {
				defer close(taken)
				for range samples { // they are only taken
				}
			}()
			c.Collect(samples)
			close(samples)
			<-taken
		}
		report()
	})
	b.Run("Gather", func(b *testing.B) {
		r := prometheus.NewRegistry()
		must(b, r.Register(c))
		b.ReportAllocs()
		report := core(b)
		for b.Loop() {
			_, err := r.Gather()
			must(b, err)
		}
		report()
	})
}
