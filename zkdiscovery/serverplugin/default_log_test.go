package serverplugin

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/logs/logstest"
)

// V3: a program that changed its import only heard nothing.
func TestWithoutALoggerWarningsGoToTheProgramsDefault(t *testing.T) {
	inBubble(t, func(b bubble) {
		lines := logstest.Default(t)
		p := NewZooKeeperRegisterPlugin(WithZKServiceAddress("tcp@0.0.0.0:8972"), WithZKServersAddress([]string{"zk:2181"}), WithZKBasePath("rpcx"),
			WithDialer(b.zk.Dial))
		must(b, p.Start())
		b.register(p, "Arith", "")
		must(b, p.WaitRegistered(b.Context()))
		pass(time.Second)
		must(b, p.Stop())
		lines.WantOnly(t, "names no host")
	})
}
