// Package rpcx shows rpcx's real clients with real servers, through what can happen to ZooKeeper, and the selector with both.
package rpcx

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/tests/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(harness.Tests(m)) }
