package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNarratorAlignsItsColumns(t *testing.T) {
	var out bytes.Buffer
	n := newNarrator(&out, false, nil)
	n.start = time.Now().Add(-12340 * time.Millisecond)
	n.heading("A weight changes")
	began := n.change("server D", "gets weight %d", 6)
	n.news(began.Add(1500*time.Microsecond), "client", "has the list: %s", "C D×6")
	n.news(began.Add(1500*time.Microsecond), "client", "has the list: %s", "C D")
	want := "\nA weight changes\n" +
		" 12.34 s  server D  gets weight 6\n" +
		" 12.34 s  client    has the list: C D×6                            1.5 ms later\n" +
		" 12.34 s  client    has the list: C D                              1.5 ms later\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestNarratorBreaksWhatIsTooLong(t *testing.T) {
	var out bytes.Buffer
	n := newNarrator(&out, false, nil)
	n.start = time.Now().Add(-12340 * time.Millisecond)
	n.heading("%s", strings.Repeat("word ", 20))
	began := n.change("client", "%s", strings.Repeat("word ", 13)+strings.Repeat("w", 70))
	n.news(began.Add(1500*time.Microsecond), "client", "%s", strings.Repeat("word ", 9)+"word")
	want := "\n" + strings.Repeat("word ", 15) + "word\nword word word word \n" +
		" 12.34 s  client    " + strings.Repeat("word ", 11) + "word\n" +
		"                    word\n" +
		"                    " + strings.Repeat("w", 70) + "\n" +
		" 12.34 s  client    " + strings.Repeat("word ", 9) + "word\n" +
		strings.Repeat(" ", 67) + "1.5 ms later\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestNarratorColoursForATerminal(t *testing.T) {
	var out bytes.Buffer
	newNarrator(&out, true, nil).heading("Promises")
	if want := "\n\x1b[1mPromises\x1b[0m\n"; out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if colourful(file) || colourful(&out) {
		t.Error("colours, and no terminal")
	}
}

func TestNumbersAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 456 * time.Microsecond: "0.46 ms", 9876 * time.Microsecond: "9.9 ms", 123456 * time.Microsecond: "123 ms",
		1234 * time.Millisecond: "1.23 s", time.Minute: "60.00 s",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestListsAreDescribedByNameAndWeight(t *testing.T) {
	got := describe(map[string]string{
		"tcp@127.0.0.1:3": metadata("B", 1), "tcp@127.0.0.1:2": metadata("D", 6), "tcp@127.0.0.1:1": "%zz", "tcp@127.0.0.1:0": "",
	})
	if want := "B D×6 tcp@127.0.0.1:0 tcp@127.0.0.1:1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := describe(nil); got != "empty" {
		t.Errorf("no servers: %q", got)
	}
}

func TestAwaitFindsTheFirstViewSinceATime(t *testing.T) {
	f := newFeed(func(view) {})
	connected := func(v view) bool { return v.connected }
	lost := func(v view) bool { return !v.connected }
	turn := func(on bool) time.Time {
		f.note(func(v *view) { v.connected = on })
		return f.current().at
	}
	up := turn(true)
	down := turn(false)
	turn(false)
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	if v, err := f.await(ended, up.Add(-1), connected); err != nil || !v.at.Equal(up) {
		t.Errorf("since before: at %v, error %v; want %v", v.at, err, up)
	}
	if v, err := f.await(ended, up, lost); err != nil || !v.at.Equal(down) {
		t.Errorf("the first of two: at %v, error %v; want %v", v.at, err, down)
	}
	if v, err := f.await(ended, up, connected); err != nil || !v.at.Equal(up) {
		t.Errorf("the one that there was: at %v, error %v; want %v", v.at, err, up)
	}
	if _, err := f.await(ended, down, connected); !errors.Is(err, context.Canceled) {
		t.Errorf("one that was outdated then: error %v, want the context's", err)
	}
	later := make(chan struct{})
	go func() {
		defer close(later)
		turn(true)
	}()
	if _, err := f.await(t.Context(), down, connected); err != nil {
		t.Errorf("one to come: %v", err)
	}
	<-later
}
