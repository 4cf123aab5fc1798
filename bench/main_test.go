package main

import (
	"testing"

	"github.com/smallnest/rpcx/log"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
)

func TestMain(m *testing.M) {
	agent.RunIfAsked(contender.ByName) // the contenders' processes are this program's, which is the test here
	log.SetDummyLogger()
	goleak.VerifyTestMain(m)
}
