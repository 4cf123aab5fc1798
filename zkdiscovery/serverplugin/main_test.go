package serverplugin

import (
	"os"
	"testing"

	"github.com/rcrowley/go-metrics"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The first meter of a process starts a goroutine that never ends: outside of every bubble, and before goleak looks.
	metrics.NewMeter()
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.Cleanup(os.Exit))
}
