package serverplugin

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// P5: whoever leaves leaves no node behind, in every state of the connection, when ZooKeeper can be reached within the time that it may take. Stop
// right after a cut left it for the session's timeout.
func TestWhoeverLeavesLeavesNoNodeBehind(t *testing.T) {
	for how, leave := range map[string]func(p *ZooKeeperRegisterPlugin) error{
		"Stop":     func(p *ZooKeeperRegisterPlugin) error { return p.Stop() },
		"Shutdown": func(p *ZooKeeperRegisterPlugin) error { return p.Shutdown(context.Background(), nil) },
		"Drain":    func(p *ZooKeeperRegisterPlugin) error { return p.Drain(context.Background()) },
		"Unregister": func(p *ZooKeeperRegisterPlugin) error {
			return p.Unregister("Arith")
		},
	} {
		for state, reach := range map[string]func(b bubble, p *ZooKeeperRegisterPlugin){
			"connected":           func(bubble, *ZooKeeperRegisterPlugin) {},
			"cut this moment":     func(b bubble, _ *ZooKeeperRegisterPlugin) { b.zk.DropConnections() },
			"cut, and not told":   func(b bubble, _ *ZooKeeperRegisterPlugin) { go b.zk.DropConnections() },
			"cut a moment ago":    func(b bubble, _ *ZooKeeperRegisterPlugin) { b.zk.DropConnections(); pass(10 * time.Millisecond) },
			"slow":                func(b bubble, _ *ZooKeeperRegisterPlugin) { b.zk.Delay(100 * time.Millisecond) },
			"cut and slow":        func(b bubble, _ *ZooKeeperRegisterPlugin) { b.zk.Delay(100 * time.Millisecond); b.zk.DropConnections() },
			"expired this moment": func(b bubble, _ *ZooKeeperRegisterPlugin) { b.zk.ExpireAll() },
			"yielded": func(b bubble, _ *ZooKeeperRegisterPlugin) {
				other := b.plugin()
				b.register(other, "Arith", "")
				pass(time.Second)
				must(b, other.Stop())
			},
			"a write whose answer is lost": func(b bubble, p *ZooKeeperRegisterPlugin) {
				b.zk.CutAfter(zktest.OpSetData, 1)
				must(b, p.SetMetadata("Arith", "weight=1"))
			},
			"silent for a moment": func(b bubble, _ *ZooKeeperRegisterPlugin) {
				b.zk.Silence(true)
				time.AfterFunc(300*time.Millisecond, func() { b.zk.Silence(false) })
			},
			"away for a moment": func(b bubble, _ *ZooKeeperRegisterPlugin) {
				b.zk.Refuse(true)
				b.zk.DropConnections()
				time.AfterFunc(100*time.Millisecond, func() { b.zk.Refuse(false) })
			},
		} {
			for _, wait := range []time.Duration{0, drainWait} {
				t.Run(how+", "+state, func(t *testing.T) {
					inBubble(t, func(b bubble) {
						p := b.plugin(WithDrainWait(wait))
						b.register(p, "Arith", "weight=3")
						pass(time.Second)
						reach(b, p)
						start := time.Now()
						err := leave(p)
						if took := time.Since(start); took > 2*wait+2*time.Second {
							b.Errorf("took %v", took)
						}
						if how == "Stop" || how == "Shutdown" || err == nil {
							b.mustBeGone()
						}
						b.zk.Delay(0)
						pass(time.Second) // what could not be told, the process tells in the background
						b.mustBeGone()
					})
				})
			}
		}
	}
}
