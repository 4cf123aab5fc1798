package weather

import (
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smallnest/rpcx/client"

	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

var outage = flag.Duration("weather.outage", 6*time.Hour, "how long the outage of TestALongOutageIsAHandfulOfLines lasts")

// O6, with 500 services on one template. Beside what it fails for it says what processor time an hour at rest and the outage take, in a bubble: the waiting costs nothing there, and everything that is done is done.
func TestALongOutageIsAHandfulOfLines(t *testing.T) {
	services, limit := 500, 20
	if raceDetector || testing.Short() {
		services = 50
	}
	bubbles.Test(t, func(t *testing.T) {
		zk := zktest.NewServer()
		r := &run{counts: make(map[string]int), began: time.Now()}
		p := &process{run: r, way: newWay(zk), log: &logbook{run: r}}
		tmpl, err := zkdiscovery.NewTemplate("rpcx", []string{"zk1:2181", "zk2:2181", "zk3:2181"}, zkdiscovery.WithDialer(p.way.Dial),
			zkdiscovery.WithoutCache(), zkdiscovery.WithLogger(p.log.logger()), zkdiscovery.WithoutGuard())
		if err != nil {
			t.Fatal(err)
		}
		var chans []chan []*client.KVPair
		for i := range services {
			service := fmt.Sprint("service", i)
			if err := zk.Put("/rpcx/"+service+"/tcp@10.0.0.1:8972", []byte("n=1")); err != nil {
				t.Fatal(err)
			}
			chans = append(chans, tmpl.Service(service).WatchService())
		}
		pass(time.Hour) // looks at rest have come to their longest interval
		lines, st, cpu := p.log.lines.Load(), zk.Stats(), processorTime()
		pass(time.Hour)
		t.Logf("at rest, %d services: %v of processor time in an hour, %d requests", services, processorTime()-cpu, zk.Stats().Since(st).Total())
		if n := p.log.lines.Load() - lines; n > 0 {
			t.Errorf("%d lines in an hour at rest", n)
		}
		if n, limit := zk.Stats().Since(st).Total(), int64(services*6*4); n > limit {
			t.Errorf("%d requests in an hour at rest, at most %d should be", n, limit)
		}

		zk.Stop()
		p.way.mu.Lock()
		before := p.way.attempts
		p.way.mu.Unlock()
		cpu = processorTime()
		pass(*outage)
		p.way.mu.Lock()
		attempts := p.way.attempts - before
		p.way.mu.Unlock()
		t.Logf("%v of outage: %d attempts, one in %v per server, %d lines, %v of processor time", *outage, attempts,
			*outage*3/time.Duration(attempts), p.log.lines.Load()-lines, processorTime()-cpu)
		if perServer := *outage * 3 / time.Duration(attempts); perServer < 2500*time.Millisecond {
			t.Errorf("an attempt in %v per server", perServer)
		}
		if n := p.log.lines.Load() - lines; n > int64(limit) {
			t.Errorf("%d lines, with %d services", n, services)
			for _, line := range r.history[max(0, len(r.history)-40):] {
				t.Log(line)
			}
		}
		for _, ch := range chans {
			if len(<-ch) != 1 {
				t.Fatal("a list has lost its instance")
			}
		}
		tmpl.Close()
		zk.Close()
		p.way.drop()
		synctest.Wait()
	})
}
