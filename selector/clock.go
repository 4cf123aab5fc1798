package selector

import "time"

// nanos is the Selector's clock, which takes half of time.Now's time: nanoseconds since New.
func (s *Selector) nanos() int64 { return int64(time.Since(s.began)) }

// now is the same in milliseconds, and never 0.
func (s *Selector) now() int64 { return millis(s.nanos()) }

func millis(nanos int64) int64 { return nanos/int64(time.Millisecond) + 1 }

// recent is the time as it was when a call began or ended last: enough to judge loads by, and free.
func (s *Selector) recent() int64 { return s.coarse.Load() }

func (s *Selector) setRecent(now int64) {
	if s.coarse.Load() != now {
		s.coarse.Store(now)
	}
}

// time is a moment of the clock as others know it; the zero time for 0.
func (s *Selector) time(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return s.began.Add(time.Duration(at-1) * time.Millisecond)
}
