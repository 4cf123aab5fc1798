package main

import (
	"testing"

	"github.com/smallnest/rpcx/log"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
)

func TestMain(m *testing.M) {
	agent.RunIfAsked() // the contenders' processes are this program's, which is the test here
	log.SetDummyLogger()
	goleak.VerifyTestMain(m)
}
