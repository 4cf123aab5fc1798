// Package life shows how a discovery ends, what it shares with its clones, and who may wait for it: C1 to C4.
package life

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(harness.Tests(m)) }
