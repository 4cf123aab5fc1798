package session

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// BenchmarkGoZookeepersOwnRequests shows what a link adds to the requests that go-zookeeper makes itself, on a real ZooKeeper: the two take turns, a few hundred
// requests each, and the ratio of each pair counts. What the metrics are: the median of what it adds, in percent, and the 95 % interval of that.
func BenchmarkGoZookeepersOwnRequests(b *testing.B) {
	e := zktest.StartEnsemble(b, 1)
	s, _ := real(b, e, Config{})
	s.mu.Lock()
	over := s.line.conn
	s.mu.Unlock()
	bare, _, err := zk.Connect(e.Servers(), 10*time.Second, zk.WithLogInfo(false))
	must(b, err)
	defer bare.Close()
	for _, bc := range []struct {
		name           string
		callers, calls int // of each caller, in a turn
	}{{"one after the other", 1, 200}, {"64 at once", 64, 20}} {
		turn := func(c *zk.Conn) time.Duration {
			begun := time.Now()
			var wg sync.WaitGroup
			for range bc.callers {
				wg.Go(func() {
					for range bc.calls {
						if _, _, err := c.Exists("/zookeeper"); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			return time.Since(begun)
		}
		b.Run(bc.name, func(b *testing.B) {
			for range 20 { // until both are warm
				turn(over)
				turn(bare)
			}
			var ratios []float64
			for b.Loop() {
				var with, without time.Duration
				if len(ratios)%2 == 0 {
					with, without = turn(over), turn(bare)
				} else {
					without, with = turn(bare), turn(over)
				}
				ratios = append(ratios, float64(with)/float64(without))
			}
			low, median, high := middle(ratios)
			b.ReportMetric(100*median-100, "%-more")
			b.ReportMetric(100*low-100, "%-more-at-least")
			b.ReportMetric(100*high-100, "%-more-at-most")
		})
	}
}

// middle is the median, and the order statistics between which it is with 95 %.
func middle(values []float64) (low, median, high float64) {
	slices.Sort(values)
	n := len(values)
	off := 1.96 * math.Sqrt(float64(n)) / 2
	at := func(i float64) float64 { return values[max(0, min(n-1, int(math.Round(i))))] }
	half := float64(n-1) / 2
	return at(half - off), at(half), at(half + off)
}
