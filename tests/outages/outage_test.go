package outages

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Outages while a program runs: O1 and O5.

func TestO1ErrorsAreNotNews(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		t.Put(t.Node("Arith", 0), "n=0")
		d := t.Discover("Arith")
		watcher := t.Follow(d)
		n := 0
		for _, op := range []zktest.Op{zktest.OpGetChildren2, zktest.OpGetData, zktest.OpExists, zktest.OpSync, zktest.OpSetWatches, zktest.OpConnect} {
			for _, code := range []zktest.Code{zktest.CodeRuntimeInconsistency, zktest.CodeNoAuth, zktest.CodeMarshallingError, -4, -110, -127, 99} {
				n++
				zk.FailNext(op, code, 3)
				harness.Must(t, zk.Set(t.Node("Arith", 0), fmt.Appendf(nil, "n=%d", n)))
				harness.Must(t, zk.Create(t.Service("Arith")+fmt.Sprintf("/tcp@127.2.0.%d:8972", n), nil))
				if op >= zktest.OpSetWatches || op == zktest.OpSync || op == zktest.OpConnect {
					zk.DropConnections()
				}
				if op == zktest.OpSync {
					zk.ExpireAll()
				}
				harness.Pass(2 * time.Minute)
				zk.FailNext(op, 0, 0)
				harness.Pass(2 * time.Minute)
				t.Source(d, zkdiscovery.Live)
				t.Lists(d, t.Children(t.Service("Arith")))
			}
		}
		shorter := 0
		for _, list := range watcher.Heard() {
			if len(list) < shorter {
				t.Fatalf("an error has removed instances: %d of %d are left", len(list), shorter)
			}
			shorter = len(list)
		}
	})
}

func TestO5NamesAreLookedUpAgain(t *testing.T) {
	harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
		moved := zktest.NewServer()
		t.Cleanup(moved.Close)
		harness.Must(t, moved.Put(t.Node("Arith", 1), []byte("n=1")))
		t.Put(t.Node("Arith", 0), "n=0")
		way := harness.NewDialer(zk.Dial)
		d := t.Discover("Arith", zkdiscovery.WithDialer(way.Dial))
		zk.Stop()
		harness.Pass(time.Minute)
		way.Redirect(moved.Dial)
		harness.Pass(10*time.Second + 5*time.Second)
		t.Source(d, zkdiscovery.Live)
		t.Lists(d, map[string]string{harness.Instance(1): "n=1"})
		d.Close()
	})
}
