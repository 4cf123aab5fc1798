package serverplugin

import (
	"fmt"
	"runtime"
	"time"
)

func testKillAndRestart(r realZooKeeper) {
	o := childOptions{r.ensemble.Servers()[0], r.base, "weight=1"}
	old := startChild(r.T, o)
	old.do("register")
	_, before, err := r.conn.Get(r.node())
	if err != nil {
		r.Fatal(err)
	}
	defer r.watch()()
	old.kill()
	killed := time.Now()
	o.Metadata = "weight=2"
	startChild(r.T, o).do("register")
	if took := time.Since(killed); took < childSession {
		r.Logf("registered %v after the kill", took)
	} else {
		r.Errorf("registered %v after the kill: the old session was over anyway", took)
	}
	for deadline := killed.Add(childSession + 2*time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		data, st, err := r.conn.Get(r.node())
		if err != nil || string(data) != "weight=2" || st.EphemeralOwner == before.EphemeralOwner || st.EphemeralOwner == 0 {
			r.Fatalf("%v after the kill: %q, %+v, %v", time.Since(killed), data, st, err)
		}
	}
}

// testLateProcess has the old process stand still while the new one takes over, and unregister and stop when it wakes up.
func testLateProcess(r realZooKeeper) {
	if runtime.GOOS == "windows" {
		r.Skip("processes cannot be stopped here")
	}
	old := startChild(r.T, childOptions{r.ensemble.Servers()[0], r.base, "weight=1"})
	old.do("register")
	defer r.watch()()
	pause(r.T, old.cmd.Process)
	p := r.plugin()
	r.register(p, "weight=2")
	resume(r.T, old.cmd.Process)
	old.do("unregister")
	old.do("stop")
	for range 20 {
		if !r.owns(p, "weight=2") {
			r.Fatal("the successor's node is gone")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func testTakeoversAreAtomic(r realZooKeeper) {
	plugins := []*ZooKeeperRegisterPlugin{r.plugin(), r.plugin(), r.plugin()}
	r.register(plugins[0], "weight=0")
	defer r.watch()()
	for i := range 60 {
		r.register(plugins[i%3], fmt.Sprint("weight=", i))
	}
	if st := plugins[0].Status(); st.Takeovers == 0 {
		r.Errorf("%+v", st)
	}
}
