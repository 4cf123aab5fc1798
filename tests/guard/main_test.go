// Package guard shows that a sudden loss of many or all instances is suspected, not obeyed: O7 beyond discovery_test.go, and the guard's options.
package guard

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/harness"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(serversOf); spec != "" {
		os.Exit(beServers(spec))
	}
	goleak.VerifyTestMain(harness.Tests(m))
}
