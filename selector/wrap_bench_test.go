package selector

import (
	"context"
	"fmt"
	"testing"

	"github.com/smallnest/rpcx/client"
)

func TestACallCostsOneAllocationMore(t *testing.T) {
	registerInstant()
	const server = "instant@127.0.0.1:1"
	bare := client.NewXClient("Kelp", client.Failfast, client.RandomSelect, newDiscovery(server), client.DefaultOption)
	defer bare.Close()
	ours, _ := wrapped(t, client.Failfast, nil, server)
	ctx := context.Background()
	allocations := func(xc client.XClient) float64 {
		return testing.AllocsPerRun(100, func() {
			if err := xc.Call(ctx, "Greet", &question, &question); err != nil {
				t.Fatal(err)
			}
		})
	}
	if was, is := allocations(bare), allocations(ours); is-was > 1 {
		t.Errorf("a call has %v allocations, and %v without the wrapper", is, was)
	}
}

// What the wrapper adds to a call: each mode of an XClient on ten servers that answer at once, without a network, bare and wrapped.
func BenchmarkCall(b *testing.B) {
	registerInstant()
	servers := make([]string, 10)
	for i := range servers {
		servers[i] = fmt.Sprintf("instant@127.0.0.1:%d", i+1)
	}
	ctx := context.Background()
	raw := raw("Greet")
	for _, c := range []struct {
		what string
		mode client.FailMode
		call func(client.XClient) error
	}{
		{"Failfast", client.Failfast, func(xc client.XClient) error { return xc.Call(ctx, "Greet", &question, &question) }},
		{"Failover", client.Failover, func(xc client.XClient) error { return xc.Call(ctx, "Greet", &question, &question) }},
		{"Failtry", client.Failtry, func(xc client.XClient) error { return xc.Call(ctx, "Greet", &question, &question) }},
		{"Failbackup", client.Failbackup, func(xc client.XClient) error { return xc.Call(ctx, "Greet", &question, &question) }},
		{"Go", client.Failfast, func(xc client.XClient) error {
			done := make(chan *client.Call, 1)
			if _, err := xc.Go(ctx, "Greet", &question, &question, done); err != nil {
				return err
			}
			<-done
			return nil
		}},
		{"SendRaw", client.Failfast, func(xc client.XClient) error { _, _, err := xc.SendRaw(ctx, raw); return err }},
		{"Oneshot", client.Failfast, func(xc client.XClient) error { return xc.Oneshot(ctx, "Greet", &question) }},
		{"Broadcast", client.Failfast, func(xc client.XClient) error { return xc.Broadcast(ctx, "Greet", &question, &question) }},
		{"Inform", client.Failfast, func(xc client.XClient) error { _, err := xc.Inform(ctx, "Greet", &question, &question); return err }},
	} {
		o := client.DefaultOption
		bare := client.NewXClient("Kelp", c.mode, client.RandomSelect, newDiscovery(servers...), o)
		ours := NewXClientPool(1, "Kelp", c.mode, newDiscovery(servers...), o, mustNew(b)).Get()
		for _, x := range []struct {
			what string
			xc   client.XClient
		}{{"bare", bare}, {"wrapped", ours}} {
			b.Run(c.what+"/"+x.what, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := c.call(x.xc); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		_, _ = bare.Close(), ours.Close()
	}
}
