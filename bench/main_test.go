package main

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
)

func TestMain(m *testing.M) {
	agent.RunIfAsked() // the contenders' processes are this program's, which is the test here
	goleak.VerifyTestMain(m)
}
