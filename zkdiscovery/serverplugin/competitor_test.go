package serverplugin

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// competitor is a process, or the next one in its place.
type competitor struct {
	h      *history
	name   string
	way    *mortal
	plugin *ZooKeeperRegisterPlugin // nil: there is no process
	wants  string                   // the metadata that it was given; "" when it is not to be registered
	busy   atomic.Bool              // something that it was told is under way
}

func (c *competitor) register() {
	if c.plugin == nil {
		c.way = &mortal{zk: c.h.zk}
		c.plugin = c.h.plugin(WithDialer(c.way.dial), WithDrainWait(time.Second))
	}
	c.wants = fmt.Sprintf("v=%s%d&weight=r%d", c.name, c.h.moment, c.h.moment)
	c.h.note("%s registers %s", c.name, c.wants)
	c.h.register(c.plugin, "Arith", c.wants)
}

// begin has a process do something beside what happens, that must end within a time.
func (c *competitor) begin(what string, within time.Duration, do func(p *ZooKeeperRegisterPlugin) error) {
	if c.plugin == nil {
		return
	}
	c.h.note("%s: %s", c.name, what)
	c.wants = ""
	c.busy.Store(true)
	h, p := c.h, c.plugin
	go func() {
		start := time.Now()
		err := do(p)
		if took := time.Since(start); took > within {
			h.Errorf("%s: %s took %v", c.name, what, took)
		}
		n, gone := h.zk.Get(nodePath)
		if err == nil && gone == nil && n.Stat.EphemeralOwner != 0 && n.Stat.EphemeralOwner == p.Status().SessionID && !h.restored {
			h.Errorf("%s: %s has succeeded, and its node is still there", c.name, what)
		}
		c.busy.Store(false)
	}()
}

func (c *competitor) unregister() {
	c.begin("unregister", time.Second, func(p *ZooKeeperRegisterPlugin) error { return p.Unregister("Arith") })
}

func (c *competitor) drain(limit time.Duration) {
	c.begin(fmt.Sprint("drain in ", limit), 4*time.Second, func(p *ZooKeeperRegisterPlugin) error {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		return p.Drain(ctx)
	})
}

func (c *competitor) stop() {
	if c.plugin == nil {
		return
	}
	c.h.note("%s stops", c.name)
	start := time.Now()
	must(c.h.bubble, c.plugin.Stop())
	if took := time.Since(start); took > time.Second {
		c.h.Errorf("%s: Stop took %v", c.name, took)
	}
	c.plugin, c.wants = nil, ""
}

// kill ends the process without a goodbye: its session lives on for a while.
func (c *competitor) kill() {
	if c.plugin == nil {
		return
	}
	c.h.note("%s is killed", c.name)
	c.way.kill()
	must(c.h.bubble, c.plugin.Stop())
	c.plugin, c.wants = nil, ""
}
