package serverplugin

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// P3: what rpcx-zookeeper left behind was never replaced when something stood below it, and was listed for ever.
func TestAPersistentNodeIsReplacedWithWhatStandsBelowIt(t *testing.T) {
	for below, want := range map[int]bool{1: true, mostBelow: true, mostBelow + 1: false} {
		inBubble(t, func(b bubble) {
			must(b, b.zk.Put(nodePath, []byte("old")))
			for i := range below {
				if i%2 == 0 {
					must(b, b.zk.Put(fmt.Sprintf("%s/%d", nodePath, i), nil))
				} else {
					must(b, b.zk.Put(fmt.Sprintf("%s/%d/x", nodePath, i-1), nil))
				}
			}
			p := b.plugin()
			b.register(p, "Arith", "weight=3")
			pass(time.Minute)
			if !want {
				if st := p.Status(); p.Registered() || st.Services[0].Err == nil || !strings.Contains(st.Services[0].Err.Error(), "by hand") {
					b.Errorf("%d below: %+v", below, st)
				}
				return
			}
			b.mustOwn(p, "weight=3")
			if children, _ := b.zk.Children(nodePath); len(children) > 0 {
				b.Errorf("%q are left", children)
			}
		})
	}
}
