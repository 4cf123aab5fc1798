package bubbles

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestReadersOfTimersInABubbleDoNotKillTheDetector(t *testing.T) {
	Test(t, func(*testing.T) {
		for range 500 {
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for range 200 {
						<-time.NewTimer(0).C
					}
				})
			}
			readers.Wait()
			ended := make(chan struct{})
			time.AfterFunc(time.Second, func() { close(ended) })
			<-ended
		}
	})
}

func TestProcessorsAreGivenBackAfterTheLastBubble(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	first, second := oneProcessor(), oneProcessor()
	first()
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("%d processors while a bubble is open, want 1", n)
	}
	second()
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d processors after the last bubble, want %d", n, before)
	}
}
