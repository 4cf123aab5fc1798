package weather

import (
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

// slowly: a ZooKeeper that answers late is connected to late, and not never (O5).
func (r *run) slowly() {
	delay := []time.Duration{200 * time.Millisecond, 1500 * time.Millisecond}[r.faults%2]
	r.note("ZooKeeper answers %v late, and all connections break", delay)
	r.zk.Delay(delay)
	r.zk.DropConnections()
	r.newcomer(1)
	r.usedFor(2 * time.Minute)
	for _, p := range r.processes {
		for _, v := range p.views {
			v.isLiveAndEqual("slowIsConnectedToLate", p.membersOnly)
		}
	}
	r.zk.Delay(0)
}

// disksComeBack: a list that could not be written is, at most a minute after that is possible again (F4).
func (r *run) disksComeBack() {
	r.note("the disks are away for a while")
	for _, d := range r.disks {
		d.takeAway()
	}
	r.newcomer(2)
	r.usedFor(20 * time.Second)
	for _, d := range r.disks {
		d.bringBack()
	}
	r.note("the disks are back")
	r.usedFor(75 * time.Second)
	for _, p := range r.processes {
		for _, v := range p.views {
			if p.has["WithoutCache"] {
				continue
			}
			st := v.d.Status()
			f, err := readFile(st.CacheFile)
			listed, _ := f.lists()
			if want := r.record.now(v.service).nodes; err != nil || keysOf(listed) != keysOf(want) {
				r.violate("whatWasNotWrittenIsWrittenSoon", "%s: %q has %v, ZooKeeper %v; %v, %v", v.name, st.CacheFile, listed, want, err, st.CacheErr)
			}
		}
	}
}

// operatorsDecide: an override is in force when the files have been looked at, and no longer than it is there.
func (r *run) operatorsDecide() {
	var ruled []*view
	var undo []func()
	for _, p := range r.processes {
		for _, v := range p.views {
			if path := v.d.Status().OverrideFile; path != "" && p.disk != r.home {
				ruled, undo = append(ruled, v), append(undo, r.override(path, v.service, 1))
			}
		}
	}
	r.usedFor(15 * time.Second)
	for _, v := range ruled {
		list := make(map[string]string)
		for _, p := range v.d.Snapshot().Servers {
			list[p.Key] = p.Value
		}
		if st := v.d.Status(); st.Source != zkdiscovery.Override || !v.isOverride(list) {
			r.violate("overridesAreObeyed", "%s: %v is listed; %v, %s", v.name, list, st, st.OverrideFile)
		}
	}
	for _, end := range undo {
		end()
	}
	r.usedFor(15 * time.Second)
	for _, v := range ruled {
		v.isLiveAndEqual("overridesEndWithTheirFile", v.p.membersOnly)
	}
}

// newcomer is one more instance of each service, beside those that come and go.
func (r *run) newcomer(n int) {
	for _, s := range services {
		_ = r.zk.Put(top+s+"/"+instance(instances+n), []byte(r.value()))
	}
}

// usedFor lets time go by while every view is used.
func (r *run) usedFor(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		r.use()
		pass(min(time.Until(end), 15*time.Second))
	}
}
