// Dubbogo is the process of the benchmark's contender dubbo-go: the agent of internal/agent, in a module of its own, so that dubbo-go's dependencies are
// none of the benchmark's. The benchmark builds it when a run begins.
package main

import (
	"fmt"
	"os"

	"github.com/dubbogo/go-zookeeper/zk"
	"github.com/dubbogo/gost/log/logger"
	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
)

func main() {
	quiet()
	agent.RunIfAsked(byName)
	_, _ = fmt.Fprintln(os.Stderr, "dubbogo: the benchmark starts this, see ../main.go")
	os.Exit(2)
}

func byName(name string) (contender.Contender, error) {
	if name != contender.DubboGo {
		return contender.Contender{}, fmt.Errorf("no contender is called %q here", name)
	}
	return contender.Contender{Open: open}, nil
}

// quiet ends the logs, of which one is on the agent's stdout. The other contenders log nothing either.
func quiet() {
	logger.SetLoggerLevel("fatal")
	zk.DefaultLogger = silent{}
}

type silent struct{}

func (silent) Printf(string, ...any) {}
