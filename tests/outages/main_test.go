// Package outages shows what a program sees while ZooKeeper is away: O1 to O6 beyond discovery_test.go.
package outages

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(harness.Tests(m)) }
