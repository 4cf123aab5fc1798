package serverplugin

import (
	"fmt"
	"testing"
	"time"
)

// P1: it came back with a backup in which the session lives, and stayed.
func TestWhatWasUnregisteredStaysSo(t *testing.T) {
	for _, services := range []int{1, 300} {
		inBubble(t, func(b bubble) {
			p := b.plugin()
			b.many(p, services)
			pass(time.Hour)
			b.zk.Checkpoint()
			pass(time.Hour)
			for i := range services {
				must(b, p.Unregister(fmt.Sprint("Service", i)))
			}
			b.restore()
			pass(recovery)
			for path, n := range b.zk.Tree() {
				if n.Stat.EphemeralOwner != 0 {
					b.Errorf("%s is back", path)
				}
			}
			if st := p.Status(); st.Sessions != 1 || len(st.Services) != 0 {
				b.Errorf("%+v", st)
			}
			b.zk.ExpireAll() // nothing is kept beyond the session
			pass(time.Minute)
			if n := len(p.registrar.entries); n > 0 {
				b.Errorf("%d entries are kept", n)
			}
		})
	}
}
