package selector

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/selector/internal/health"
)

func keyOfArgs(_ context.Context, _, _ string, args any) string {
	if args == "panic" {
		panic("key")
	}
	return fmt.Sprint(args)
}

// shareOf returns which share of n calls goes to servers that is says.
func shareOf(tb testing.TB, s *Selector, n int, is func(key string) bool) float64 {
	tb.Helper()
	got := 0
	for k, times := range picked(tb, s, n) {
		if is(k) {
			got += times
		}
	}
	return float64(got) / float64(n)
}

func TestTheOwnZoneComesFirst(t *testing.T) {
	inBubble(t, 12, func(t *testing.T, s *Selector, _ *world) {
		s.UpdateServer(fleet(12, func(i int) string { return fmt.Sprintf("zone=%c", 'a'+i%3) }))
		home := func(key string) bool { return s.of(t, key).Zone == "b" }
		want := func(name string, share float64) {
			t.Helper()
			if got := shareOf(t, s, 4000, home); math.Abs(got-share) > 0.04 {
				t.Errorf("%s: %.3f of the calls stay, want %.3f", name, got, share)
			}
		}
		want("all well", 1)
		fail(t, s, nth(1), health.Undialled, 1)
		want("one of four away", 1) // 3/4 by 1.4
		fail(t, s, nth(4), health.Undialled, 1)
		want("two of four away", 0.7)
		fail(t, s, nth(7), health.Undialled, 1)
		want("three of four away", 0.35)
		fail(t, s, nth(10), health.Undialled, 1)
		want("all away", 0)
	}, WithPolicy(Locality), WithZone("b"))
}

func TestAnOverloadedZoneSpills(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, s *Selector, _ *world) {
		s.UpdateServer(fleet(4, func(i int) string { return fmt.Sprintf("zone=%c", 'a'+i/2) }))
		for i := range 4 {
			s.observe(s.main, nth(i), health.Answered, time.Duration(1+i/2)*time.Millisecond)
		}
		farAway := func() int {
			n := 0
			for range 1000 {
				if k, p := s.choose(t.Context(), nil); s.of(t, k).Zone == "b" {
					n++
					p.done(health.NotSent, 0)
				} else {
					p.done(health.NotSent, 0)
				}
			}
			return n
		}
		if n := farAway(); n > 1 { // which measures
			t.Errorf("%d of 1,000 calls go far without need", n)
		}
		for i := range 2 {
			s.of(t, nth(i))
			s.observe(s.main, nth(i), health.Answered, 50*time.Millisecond)
		}
		if n := farAway(); n != 1000 {
			t.Errorf("%d of 1,000 calls leave a zone that is 25 times as slow", n)
		}
	}, WithPolicy(Locality), WithZone("a"))
}

func TestNearPlacesComeFirst(t *testing.T) {
	places := []string{
		"latitude=52.52&longitude=13.40", "latitude=52.39&longitude=13.06", // Berlin and Potsdam: one place
		"latitude=48.85&longitude=2.35", "latitude=40.71&longitude=-74.00", "", "latitude=NaN&longitude=1",
	}
	inBubble(t, 6, func(t *testing.T, s *Selector, _ *world) {
		s.UpdateServer(fleet(6, func(i int) string { return places[i] }))
		want := func(keys ...string) {
			t.Helper()
			got := picked(t, s, 1000)
			for k, n := range got {
				if n == 1 { // which measures
					delete(got, k)
				}
			}
			for _, k := range keys {
				if got[k] == 0 {
					t.Errorf("%s was not picked: %v", k, got)
				}
				delete(got, k)
			}
			if len(got) > 0 {
				t.Errorf("picked, too: %v", got)
			}
		}
		want(nth(0), nth(1))
		fail(t, s, nth(0), health.Undialled, 1)
		fail(t, s, nth(1), health.Undialled, 1)
		want(nth(2))
		fail(t, s, nth(2), health.Undialled, 1)
		want(nth(3))
	}, WithPolicy(Locality), WithPosition(52.5, 13.4))
}

func TestTheZoneCountsMoreThanTheDistance(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, s *Selector, _ *world) {
		s.UpdateServer(fleet(2, func(i int) string { return []string{"latitude=1&longitude=1", "zone=a&latitude=50&longitude=50"}[i] }))
		if got := picked(t, s, 100); got[nth(1)] < 99 {
			t.Errorf("%v", got)
		}
	}, WithPolicy(Locality), WithZone("a"), WithPosition(1, 1))
}
