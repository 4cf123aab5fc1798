// Package file shows the cache file as a discovery uses it, alone and beside others, and the override: F1 to F5.
package file

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(harness.Tests(m)) }
