package serverplugin

import (
	"os"
	"testing"

	"github.com/rcrowley/go-metrics"
	"github.com/smallnest/rpcx/log"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if config := os.Getenv(childConfig); config != "" {
		os.Exit(child(config))
	}
	log.SetDummyLogger() // rpcx's
	// The first meter of a process starts a goroutine that never ends: outside of every bubble, and before goleak looks.
	metrics.NewMeter()
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
