package lists

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/tests/harness"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// A clone was closed, and the service cloned again at once: the removal of the old watch took the new one away, and changes were found by looks at rest.
func TestServiceThatIsClonedAgainAtOnceIsTold(t *testing.T) {
	for _, wire := range []string{"", "off"} {
		for _, delay := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
			for _, asking := range []bool{false, true} {
				t.Run(fmt.Sprintf("HOLDFAST_WIRE=%s, answers after %v, still asking %v", wire, delay, asking), func(t *testing.T) {
					t.Setenv("HOLDFAST_WIRE", wire)
					harness.InBubble(t, func(t *harness.World, zk *zktest.Server) {
						want := t.Register("Arith", 1, 2, 3)
						change := func(instance int) {
							want[harness.Instance(instance)] = "n=1"
							t.Put(t.Node("Arith", instance), "n=1")
						}
						template := t.Template()
						zk.Delay(delay)
						for round := range 10 {
							d := t.Clone(template, "Arith")
							harness.Pass(time.Second)
							if asking {
								change(100 + round)
								harness.Pass(delay + delay/2)
							}
							d.Close()
							d = t.Clone(template, "Arith")
							harness.Pass(time.Second)
							change(300 + round)
							harness.Pass(time.Second)
							t.Source(d, zkdiscovery.Live)
							t.Lists(d, want)
							harness.Pass(30 * time.Second)
							if n := d.Status().Mended; n > 0 {
								t.Errorf("%d changes were found at rest", n)
							}
							d.Close()
							harness.Pass(time.Second)
						}
					})
				})
			}
		}
	}
}
