package serverplugin

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs"
)

func TestWhatHappensTogetherIsToldTogether(t *testing.T) {
	inBubble(t, func(b bubble) {
		var log strings.Builder
		p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		for i := range 100 { // a program that takes its time to begin
			b.register(p, fmt.Sprint("Service", i), "")
			pass(time.Millisecond)
		}
		pass(time.Second)
		must(b, p.Stop())
		if n := strings.Count(log.String(), "msg=registered"); n != 1 || !strings.Contains(log.String(), "msg=registered services=100") {
			b.Errorf("%d lines:\n%s", n, log.String())
		}
	})
}

func TestMetadataThatIsNoQueryIsTold(t *testing.T) {
	inBubble(t, func(b bubble) {
		var log strings.Builder
		p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		b.register(p, "Query", "weight=3&group=a")
		b.register(p, "Nothing", "")
		b.register(p, "JSON", `{"a":"b;c"}`)
		pass(time.Second)
		must(b, p.Stop())
		if n := strings.Count(log.String(), "not a URL query"); n != 1 || !strings.Contains(log.String(), "service=JSON") {
			b.Error(log.String())
		}
	})
}

func TestEveryOutageIsTold(t *testing.T) {
	inBubble(t, func(b bubble) {
		var log strings.Builder
		p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		b.register(p, "Arith", "")
		pass(time.Second)
		const outages = 3
		told := 0
		for range outages {
			b.zk.Stop()
			pass(10*time.Second + newsDelay) // the session timeout
			told++
			if n := strings.Count(log.String(), "registrations may be gone"); n != told {
				b.Errorf("in outage %d it was told %d times", told, n)
			}
			pass(time.Hour)
			must(b, b.zk.Start())
			pass(recovery)
			b.mustOwn(p, "")
		}
		must(b, p.Stop())
		if n := strings.Count(log.String(), "registrations may be gone"); n != outages {
			b.Errorf("%d of %d are told:\n%s", n, outages, log.String())
		}
	})
}

// What rests, yields or was never registered was counted too.
func TestAnOutageIsToldWithWhatWasRegistered(t *testing.T) {
	const line = "registrations may be gone"
	for left, want := range map[int]string{0: "", 1: line + "\" services=1\n"} {
		inBubble(t, func(b bubble) {
			var log strings.Builder
			p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			b.many(p, 5)
			pass(time.Second)
			for i, s := range p.Status().Services {
				if i >= left {
					must(b, p.Unregister(s.Name))
				}
			}
			b.register(p, "Lost", "")
			pass(time.Second)
			b.register(b.plugin(), "Lost", "")
			pass(time.Second)
			b.zk.Stop()
			pass(time.Minute)
			b.register(p, "Late", "")
			pass(time.Minute)
			must(b, p.Stop())
			if got := log.String(); !strings.Contains(got, want) || want == "" && strings.Contains(got, line) {
				b.Errorf("want %q:\n%s", want, got)
			}
		})
	}
}

func TestTheLastNewsAreToldBeforeTheEnd(t *testing.T) {
	inBubble(t, func(b bubble) {
		var log strings.Builder
		p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		b.register(p, "Arith", "")
		pass(time.Millisecond)
		must(b, p.Stop())
		if !strings.Contains(log.String(), "msg=registered services=1") {
			b.Error(log.String())
		}
	})
}

// A node that is overwritten all day long, by rpcx-zookeeper's server at the same address for instance, is restored at once every time, and
// told of at first, and then counted.
func TestAFightIsToldAFewTimesAndThenCounted(t *testing.T) {
	inBubble(t, func(b bubble) {
		var log strings.Builder
		p := b.plugin(WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		b.register(p, "Arith", "weight=3")
		pass(time.Second)
		const hours = 2
		for range hours * 360 {
			must(b, b.zk.Set(nodePath, []byte("by hand")))
			pass(10 * time.Second)
			b.mustOwn(p, "weight=3")
		}
		pass(logs.Calm)
		fight := log.String()
		const counts = 5 // a minute after the first line that was withheld, then after 4, 16 and 60 minutes, and when it was over
		if n, c := strings.Count(fight, "restoring them"), strings.Count(fight, " withheld="); n != logs.Limit+counts || c != counts {
			b.Errorf("%d lines in %d hours, %d of them count:\n%s", n, hours, c, fight)
		}
		for i := range logs.Limit {
			must(b, b.zk.Delete(nodePath))
			pass(newsDelay)
			if n := strings.Count(log.String(), "msg=registered services=1"); n != i+2 {
				b.Errorf("after a quiet time, the registration of %v ago is not told: %d", newsDelay, n)
			}
		}
	})
}
