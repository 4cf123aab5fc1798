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

// oneIsCutOff: who cannot ask ZooKeeper shows what a process that can has saved since, though both have heard something a moment before.
func (r *run) oneIsCutOff() {
	keepers := make(map[string]*process) // the first of those that keep a file
	var cut *process
	var following []*view
	for _, p := range r.processes {
		for _, v := range p.views {
			file := v.d.Status().CacheFile
			switch keeper := keepers[file]; {
			case file == "":
			case keeper == nil:
				keepers[file] = p
			case keeper != p && (cut == nil || cut == p):
				cut, following = p, append(following, v)
			}
		}
	}
	if cut == nil {
		return
	}
	r.count("cut off beside another process")
	r.newcomer(3)
	r.usedFor(2 * time.Second)
	r.note("%s is cut off", cut.name)
	cut.way.begin(refused)
	cut.way.drop()
	r.newcomer(4)
	r.usedFor(20 * time.Second) // the others write it within a second, and a process that polls looks every 5 s
	for _, v := range following {
		v.mu.Lock()
		filtered := v.filter.keeps != nil
		v.mu.Unlock()
		if _, listed := listOf(v.d.GetServices())[instance(instances+4)]; !listed && !filtered {
			r.violate("theCutOffFollowTheFile", "%s: %v has %v; %v", v.name, v.d.Status().CacheFile, v.d.Snapshot().Servers, v.d.Status())
		}
	}
	cut.way.end(refused)
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
