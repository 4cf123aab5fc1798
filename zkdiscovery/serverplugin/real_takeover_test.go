package serverplugin

import (
	"fmt"
	"runtime"
	"time"
)

// child starts a process that registers Arith, and a witness of its own.
func (r realZooKeeper) child(metadata, witness string) *childProcess {
	r.Helper()
	return startChild(r.T, childOptions{Servers: r.ensemble.Servers()[0], Base: r.base, Metadata: metadata, Witness: witness})
}

// sessionEnds waits until the session of the process with that witness is over.
func (r realZooKeeper) sessionEnds(witness string) {
	r.Helper()
	r.soon("the session of "+witness+" is over", func() bool {
		ok, _, err := r.conn.Exists(r.base + "/" + witness + "/" + address)
		return err == nil && !ok
	})
}

func testKillAndRestart(r realZooKeeper) {
	old := r.child("weight=1", "Old")
	old.do("register")
	_, before, err := r.conn.Get(r.node())
	if err != nil {
		r.Fatal(err)
	}
	defer r.watch()("weight=2")
	old.kill()
	killed := time.Now()
	r.child("weight=2", "New").do("register")
	registered := time.Since(killed)
	if ok, _, err := r.conn.Exists(r.base + "/Old/" + address); err != nil || !ok {
		r.Errorf("registered %v after the kill: the old session was over anyway, %v", registered, err)
	}
	check := func() {
		r.Helper()
		data, st, err := r.conn.Get(r.node())
		if err != nil || string(data) != "weight=2" || st.EphemeralOwner == before.EphemeralOwner || st.EphemeralOwner == 0 {
			r.Fatalf("%v after the kill: %q, %+v, %v", time.Since(killed), data, st, err)
		}
	}
	check()
	r.sessionEnds("Old")
	r.Logf("registered %v after the kill; the old session expired after %v", registered, time.Since(killed))
	check()
}

// testLateProcess has the old process stand still while the new one takes over, and unregister and stop when it wakes up.
func testLateProcess(r realZooKeeper) {
	if runtime.GOOS == "windows" {
		r.Skip("processes cannot be stopped here")
	}
	old := r.child("weight=1", "Old")
	old.do("register")
	defer r.watch()("weight=2")
	pause(r.T, old.cmd.Process)
	p := r.plugin()
	r.register(p, "weight=2")
	resume(r.T, old.cmd.Process)
	old.do("unregister")
	if !r.owns(p, "weight=2") {
		r.Fatal("the successor's node is gone")
	}
	old.do("stop")
	r.sessionEnds("Old") // and with it all that the process has asked for
	if !r.owns(p, "weight=2") {
		r.Fatal("the successor's node is gone")
	}
}

func testTakeoversAreAtomic(r realZooKeeper) {
	plugins := []*ZooKeeperRegisterPlugin{r.plugin(), r.plugin(), r.plugin()}
	r.register(plugins[0], "weight=0")
	const takeovers = 60
	defer r.watch()(fmt.Sprint("weight=", takeovers))
	for i := range takeovers {
		r.register(plugins[(i+1)%3], fmt.Sprint("weight=", i+1))
	}
	var counted int64
	for _, p := range plugins {
		counted += p.Status().Takeovers
	}
	if counted != takeovers {
		r.Errorf("%d takeovers, want %d", counted, takeovers)
	}
}
