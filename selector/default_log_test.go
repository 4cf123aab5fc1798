package selector

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs/logstest"
	"github.com/holdfast-go/holdfast/selector/internal/health"
)

// V3: a program that gave no logger heard nothing.
func TestWithoutALoggerWarningsGoToTheProgramsDefault(t *testing.T) {
	lines := logstest.Default(t)
	inBubble(t, 3, func(t *testing.T, s *Selector, _ *world) {
		s.UpdateServer(fleet(3, func(int) string { return "weight=x" }))
		pass(time.Second)
		fail(t, s, nth(0), health.Late, 5)
		pass(time.Second)
		wantState(t, s, nth(0), Ejected) // which is told at Info
		lines.WantOnly(t, "metadata not understood")
	})
}
