package zktest

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/bubbles"
	"github.com/holdfast-go/holdfast/tests/seeds"
)

func TestOutboxGivesEverythingInOrder(t *testing.T) {
	bubbles.Test(t, func(t *testing.T) {
		seed := seeds.One(t.Name())
		rnd := rand.New(rand.NewPCG(seed, 0))
		o := newOutbox(false)
		var want, got, buf []byte
		take := func() {
			due, _, end := o.next(buf)
			if end {
				t.Fatalf("seed %d: the end before it was asked for", seed)
			}
			got = append(got, due...)
			buf = due
		}
		for i := range 100 {
			frame := bytes.Repeat([]byte{byte(i)}, pick(rnd, 1, 20, 1000, outboxPiece-1, outboxPiece, 3*outboxPiece))
			want = append(want, frame...)
			o.put(frame, pick[time.Duration](rnd, 0, 0, 0, time.Second))
			if rnd.IntN(3) == 0 {
				take()
			}
			if rnd.IntN(10) == 0 {
				time.Sleep(time.Second)
			}
		}
		o.end()
		o.put([]byte("too late"), 0)
		for {
			due, wait, end := o.next(nil)
			if end {
				break
			}
			got = append(got, due...)
			time.Sleep(wait)
		}
		if !bytes.Equal(want, got) {
			t.Errorf("seed %d: %d bytes, want %d, and the same", seed, len(got), len(want))
		}
		if o.bytes != 0 {
			t.Errorf("seed %d: %d bytes counted and not there", seed, o.bytes)
		}
	})
}
