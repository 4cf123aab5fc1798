// Package stories replays on a real ZooKeeper what happened to people who used what there was before.
package stories

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(harness.Tests(m)) }
