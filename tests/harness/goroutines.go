package harness

import (
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// NothingLeft fails the test if a goroutine of the library's is still there. It gives them a chance to run, but no time: one that waits for
// something, or for a moment, was left behind.
func (w *World) NothingLeft() {
	w.Helper()
	var left []string
	for range 1000 {
		left = LibraryGoroutines()
		if _, real := w.ZooKeeper.(*RealZooKeeper); real { // the control's connection is go-zookeeper's, too
			left = slices.DeleteFunc(left, func(stack string) bool { return !strings.Contains(stack, "holdfast-go/holdfast/zkdiscovery.") })
		}
		if len(left) == 0 {
			return
		}
		runtime.Gosched()
	}
	w.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
}

// LibraryGoroutines are the stacks of all goroutines in which the library, or its ZooKeeper client, is at work.
func LibraryGoroutines() (stacks []string) {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		for line := range strings.SplitSeq(stack, "\n") {
			if libraryFrame.MatchString(line) {
				stacks = append(stacks, stack)
				break
			}
		}
	}
	return stacks
}

var libraryFrame = regexp.MustCompile(
	`^(github\.com/holdfast-go/holdfast/(zkdiscovery|zkdiscovery/internal/\w+|filecache|internal/\w+)|github\.com/go-zookeeper/zk)\.`)
