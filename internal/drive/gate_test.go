package drive

import (
	"testing"
	"time"
)

func TestTrialsOfManyServicesAreTenSecondsApart(t *testing.T) {
	var g Gate
	begin := time.Now()
	var tried []time.Duration
	for at := time.Duration(0); at < time.Minute; at += time.Second {
		for range 500 { // services, each of which would try now
			if g.may(begin.Add(at)) {
				tried = append(tried, at)
			}
		}
	}
	for i, at := range tried {
		if at != time.Duration(i)*10*time.Second {
			t.Fatalf("tried after %v", tried)
		}
	}
	if len(tried) != 6 {
		t.Errorf("tried after %v", tried)
	}
}
