package serverplugin

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// P2: rpcx's Shutdown unregisters one service after the other, with its locks held. 1,000 of them took three minutes at 200 ms.
func TestABurstOfUnregistersWaitsForASecond(t *testing.T) {
	inBubble(t, func(b bubble) {
		const services, roundTrip = 1000, 200 * time.Millisecond
		p := b.plugin()
		b.many(p, services)
		pass(time.Minute)
		b.zk.Delay(roundTrip)
		start := time.Now()
		confirmed := 0
		for i := range services {
			switch err := p.Unregister(fmt.Sprint("Service", i)); {
			case err == nil:
				confirmed++
			case !errors.Is(err, ErrUnconfirmed):
				b.Fatal(err)
			}
		}
		if took := time.Since(start); took > unregistered+roundTrip || confirmed == 0 {
			b.Errorf("took %v, %d were confirmed", took, confirmed)
		}
		pass(services / pipelined * 2 * roundTrip) // the others are done in the background
		for i := range services {
			if n, err := b.zk.Get(fmt.Sprintf("/rpcx/Service%d/%s", i, address)); err == nil {
				b.Fatalf("Service%d is still there: %+v", i, n)
			}
		}
		if st := p.Status(); len(st.Services) > 0 {
			b.Error(st)
		}
	})
}

func TestPatienceComesBackWithTime(t *testing.T) {
	inBubble(t, func(b bubble) {
		p := b.plugin()
		b.many(p, 20)
		pass(time.Minute)
		b.zk.Delay(100 * time.Millisecond)
		for i := range 20 { // half a second apart, each has time enough
			must(b, p.Unregister(fmt.Sprint("Service", i)))
			pass(400 * time.Millisecond)
		}
	})
}
