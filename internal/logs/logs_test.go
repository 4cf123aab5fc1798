package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs/logstest"
	"github.com/holdfast-go/holdfast/tests/bubbles"
)

// book is a handler that keeps its lines, and calls during each of its methods if that is set. It cannot be compared.
type book struct {
	pages  *pages
	attrs  []slog.Attr
	prefix string
}

type pages struct {
	mu     sync.Mutex
	lines  []string
	level  slog.Level
	during func()
}

func newBook() book { return book{pages: &pages{level: slog.LevelInfo}} }

func (b book) call() {
	if b.pages.during != nil {
		b.pages.during()
	}
}

func (b book) Enabled(_ context.Context, level slog.Level) bool {
	b.call()
	return level >= b.pages.level
}

func (b book) Handle(_ context.Context, r slog.Record) error {
	b.call()
	words := []string{r.Level.String(), r.Message}
	for _, a := range b.attrs {
		words = append(words, a.String())
	}
	r.Attrs(func(a slog.Attr) bool {
		words = append(words, b.prefix+a.String())
		return true
	})
	b.pages.mu.Lock()
	defer b.pages.mu.Unlock()
	b.pages.lines = append(b.pages.lines, strings.Join(words, " "))
	return nil
}

func (b book) WithAttrs(attrs []slog.Attr) slog.Handler {
	b.call()
	for _, a := range attrs {
		b.attrs = append(slices.Clip(b.attrs), slog.Attr{Key: b.prefix + a.Key, Value: a.Value})
	}
	return b
}

func (b book) WithGroup(name string) slog.Handler {
	b.call()
	b.prefix += name + "."
	return b
}

// take returns the lines since it was called last.
func (b book) take() (lines []string) {
	b.pages.mu.Lock()
	defer b.pages.mu.Unlock()
	lines, b.pages.lines = b.pages.lines, nil
	return lines
}

func (b book) wrote(t *testing.T, want ...string) {
	t.Helper()
	if got := b.take(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("wrote\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheHandlerDoesWhatSlogDemands(t *testing.T) {
	var out *bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out = new(bytes.Buffer)
		return Limited(slog.New(slog.NewJSONHandler(out, nil))).Handler()
	}, func(t *testing.T) map[string]any {
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		return line
	})
}

// V2: each of 500 services with an odd child wrote two lines.
func TestFiveHundredServicesWithOneTroubleAreFiveLines(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		b := newBook()
		l := Limited(slog.New(b))
		for i := range 500 {
			l.With("service", fmt.Sprint("S", i)).Warn("odd child", "child", i)
		}
		want := make([]string, Limit)
		for i := range want {
			want[i] = fmt.Sprintf("WARN odd child service=S%d child=%d", i, i)
		}
		b.wrote(t, want...)
		time.Sleep(time.Minute)
		l.Info("something else")
		b.wrote(t, "WARN odd child service=S499 child=499 withheld=496", "INFO something else")
		Flush(l)
		b.wrote(t)
	})
}

func TestCountsAreToldInOrderSoThatTheLastOneSaysHowThingsAre(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		b := newBook()
		l := Limited(slog.New(b))
		for range 20 {
			l.Info("connected")
			time.Sleep(time.Second)
			l.Warn("lost")
			time.Sleep(time.Second)
		}
		l.Info("connected")
		b.take()
		Flush(l)
		b.wrote(t)
		time.Sleep(time.Minute)
		Flush(l)
		b.wrote(t, "WARN lost withheld=16", "INFO connected withheld=17")
	})
}

func TestAChangeOfLevelIsTold(t *testing.T) {
	b := newBook()
	l := Limited(slog.New(b))
	for range 20 {
		l.Warn("no file")
	}
	b.take()
	l.Error("no file")
	b.wrote(t, "ERROR no file")
}

func TestALineThatIsWithheldIsPassedOnAtDebug(t *testing.T) {
	b := newBook()
	b.pages.level = slog.LevelDebug
	l := Limited(slog.New(b)).With("service", "S").WithGroup("g")
	for range 100 {
		l.Warn("again", "k", 1)
		l.Debug("detail")
	}
	n := map[string]int{}
	for _, line := range b.take() {
		n[line]++
	}
	if got, want := fmt.Sprint(n), fmt.Sprint(map[string]int{
		"WARN again service=S g.k=1": Limit, "DEBUG again service=S g.k=1": 100 - Limit, "DEBUG detail service=S": 100,
	}); got != want {
		t.Errorf("wrote %v, want %v", got, want)
	}
}

func TestLoggersToOneHandlerShareALimiter(t *testing.T) {
	var out bytes.Buffer
	user := slog.New(slog.NewTextHandler(&out, nil))
	for range 20 {
		Limited(user).Warn("again")
	}
	if n := strings.Count(out.String(), "again"); n != Limit {
		t.Errorf("told %d times by loggers to one handler", n)
	}
	Limited(slog.New(slog.NewTextHandler(&out, nil))).Warn("again")
	if n := strings.Count(out.String(), "again"); n != Limit+1 {
		t.Error("another handler has the limiter of the first")
	}
	l := Limited(user)
	if Limited(l) != l || Limited(l.With("k", 1)).Handler() == l.Handler() {
		t.Error("limited twice, or without its attributes")
	}
}

func TestHandlersThatCannotBeComparedAreLimitedEach(t *testing.T) {
	b := newBook()
	for range 2 {
		l := Limited(slog.New(b))
		for range 20 {
			l.Warn("again")
		}
	}
	if n := len(b.take()); n != 2*Limit {
		t.Errorf("told %d times", n)
	}
}

func TestDefaultFollowsTheProgramsLoggerAtWarn(t *testing.T) {
	logstest.Default(t)                 // is restored in the end
	l := Default().With("service", "S") // before the program has set its own
	for range 2 {
		lines := logstest.Default(t)
		l.Debug("debug")
		l.Info("info")
		for range 20 {
			l.Warn("warn")
			Limited(slog.Default()).Warn("warn")
		}
		if told, of := len(lines.With("level=WARN", "msg=warn")), len(lines.With("level=WARN", "msg=warn service=S")); told != Limit || of != Limit/2 {
			t.Errorf("told %d times by two loggers to one handler, %d times by the default", told, of)
		}
		if below := len(lines.With("service=S")) - Limit/2; below != 0 {
			t.Errorf("%d lines below Warn", below)
		}
	}
}

func TestNoCodeOfTheUsersRunsUnderALockOrInWith(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) { // where a deadlock is noticed
		b := newBook()
		l := Limited(slog.New(b))
		depth, calls := 0, 0
		b.pages.during = func() {
			calls++
			if depth++; depth == 1 {
				l.Warn("again") // goes through every lock that the caller could hold
				Flush(l)
				Limited(slog.New(b)).Warn("other")
			}
			depth--
		}
		for range 20 {
			before := calls
			with := l.With("a", 1).WithGroup("g").With("b", 2)
			if calls != before {
				t.Error("With calls the user's handler")
			}
			with.Warn("again")
			time.Sleep(time.Minute)
			Flush(with)
		}
	})
}

func TestAHandlerIsForgottenWithItsLoggers(t *testing.T) {
	type self struct {
		slog.Handler
		logger *slog.Logger // as a handler has that belongs to what it logs
		_      [1 << 10]byte
	}
	collected := make(chan struct{}, 10)
	for range cap(collected) {
		h := &self{Handler: slog.DiscardHandler}
		runtime.AddCleanup(h, func(struct{}) { collected <- struct{}{} }, struct{}{})
		h.logger = Limited(slog.New(h))
		h.logger.Warn("here")
	}
	for range cap(collected) {
		runtime.GC()
		<-collected
	}
	runtime.GC()
	Limited(slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil)))
	registry.Lock()
	defer registry.Unlock()
	for _, l := range registry.limiters {
		if l := l.Value(); l != nil {
			if _, is := l.user.(*self); is {
				t.Error("a limiter is kept")
			}
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	b := newBook()
	l := limiterOf(b)
	now := time.Now()
	for i := range 10 * maxRows {
		for range 2 * Limit {
			l.allow(b, slog.NewRecord(now, slog.LevelWarn, fmt.Sprint("message ", i), 0), "", now.Add(time.Duration(i)))
		}
	}
	if len(l.rows) != maxRows || l.pending.Load() != maxRows {
		t.Errorf("%d rows, %d withhold", len(l.rows), l.pending.Load())
	}
	l.flush(now.Add(time.Hour))
	if n := len(b.take()); n != maxRows || l.pending.Load() != 0 {
		t.Errorf("%d counts", n)
	}
}

func TestManyLogAtOnce(t *testing.T) {
	b := newBook()
	l := Limited(slog.New(b))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				l.With("service", i).Warn("again", "j", j)
				Flush(l)
			}
		})
	}
	wg.Wait()
	if n := len(b.take()); n != Limit {
		t.Errorf("told %d times", n)
	}
}

func BenchmarkALineThatIsWithheld(b *testing.B) {
	l := Limited(slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil))).With("service", "S")
	b.ReportAllocs()
	for b.Loop() {
		l.Warn("again")
	}
}
