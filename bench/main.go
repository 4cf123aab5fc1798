// Bench measures Holdfast beside what people use today: rpcx-zookeeper, rpcx's CacheDiscovery around it, and, where Java and Debian's
// libcurator-recipes-java are installed, Curator's CuratorCache; beside dubbo-go's registry, another framework's, where Go can build it (the module
// dubbogo); and beside two floors, which do the job and nothing else: bare go-zookeeper with one-shot watches, which waits for the event, lists and
// reads; and bare frames with a persistent watch and batched reads.
//
//	go run . -quick                   some minutes
//	go run .                          about 25 minutes
//	go run . -scenario change -n 5000 -rtt 0,2ms
//	go run . -scenario scale          these run only when they are named: up to 2,000 services on one template, 50,000 instances of one
//	go run . -scenario far            a line of 48 KB/s and 300 ms that loses 1 %
//	go run . -compare a/results.json,b/results.json
//
// It starts a real ZooKeeper of its own on loopback, or measures on the one that -zk names, below a path of its own that it removes. The table
// that it prints, with the goals at its end, is also out/results.md; out/results.json has every sample, a line for each series, and out/*.svg are the
// plots.
//
// # How it measures
//
// Every contender runs in a process of its own (internal/agent), since some hang, leak or crash, and is asked over a pipe; what it sees it stamps
// with the wall clock at once. Contenders take turns, round by round, on services of their own. Medians are shown with their 95 % confidence interval
// (order statistics, whatever the distribution), ratios of medians with one made of both; of fewer than six values the values are shown instead. What was not seen within its limit is "never", counts as
// infinitely long in every percentile, and is counted; so are failures.
//
// # Where to look
//
//	options.go             the command line
//	run.go                 a run, from ZooKeeper's start to the report
//	internal/scenario      what is measured, a file each; plan.go says how much of it
//	internal/contender     the contenders, a file each, as their users use them
//	internal/agent         a contender's process, and the conversation with it
//	dubbogo                the contender dubbo-go: a module of its own, which is built when a run begins
//	internal/registry      the writer in ZooKeeper, and how instances stand there
//	internal/wire          the counting of requests and bytes
//	internal/stats         percentiles, intervals
//	internal/report        tables, goals, plots
//
// Exit status 2 means that the command line was wrong, or named what cannot be reached or written; 1 that something could not be measured, or that two runs
// do not agree.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/smallnest/rpcx/log"

	"github.com/holdfast-go/holdfast/bench/internal/agent"
	"github.com/holdfast-go/holdfast/bench/internal/contender"
)

func main() {
	agent.RunIfAsked(contender.ByName)
	log.SetDummyLogger() // rpcx's, before anything may log
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
