// Package lists shows that the list is ZooKeeper's, whatever happens, and what that costs: L1 to L10 beyond discovery_test.go.
package lists

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(harness.Tests(m)) }
