// Package peers holds the library to what is said of it: to programs that were written for rpcx-zookeeper, and to README.md.
package peers

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(harness.Tests(m)) }
