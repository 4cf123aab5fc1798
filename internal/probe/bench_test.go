package probe

import (
	"context"
	"fmt"
	"testing"
)

func yes(context.Context, string, string) error { return nil }

// BenchmarkAsk is the cost of one ask besides its probe, of services that ask at once.
func BenchmarkAsk(b *testing.B) {
	for _, services := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			budget := own(1 << 20)
			queues := make([]*Queue, services)
			for i := range queues {
				queues[i] = newQueue(budget, Settings{Probe: yes})
			}
			ctx := b.Context()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				queues[i%services].Ask(ctx, "tcp@127.0.0.1:1", i%2 == 0, func(Outcome) {})
				if i++; i%1000 == 0 { // as many as wait at once
					for _, q := range queues {
						q.Wait()
					}
				}
			}
			for _, q := range queues {
				q.Wait()
			}
		})
	}
}

// BenchmarkAskOneAfterTheOther is the way there and back of one ask.
func BenchmarkAskOneAfterTheOther(b *testing.B) {
	q := NewQueue(Settings{Probe: yes})
	done := make(chan struct{})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		q.Ask(ctx, "tcp@127.0.0.1:1", false, func(Outcome) { done <- struct{}{} })
		<-done
	}
	q.Wait()
}

func BenchmarkFreeDescriptors(b *testing.B) {
	for b.Loop() {
		_ = freeDescriptors()
	}
}
