package statuspage

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
)

// state is what there is to show, and the page as JSON. The keys stay as they are; later versions may add some.
type state struct {
	At          time.Time       `json:"at"`
	Discoveries []discovery     `json:"discoveries"`
	Plugins     []plugin        `json:"plugins"`
	Selectors   []selectorState `json:"selectors"`

	name, service string // as asked for
}

type discovery struct {
	Name    string               `json:"name"`
	Status  zkdiscovery.Status   `json:"status"`
	Changes []zkdiscovery.Change `json:"changes"`
	List    *list                `json:"list,omitempty"` // of the service that is asked for, or the only one
}

// list is one service's, before any filter.
type list struct {
	Service   string     `json:"service"`
	Instances []instance `json:"instances"`
}

type instance struct {
	Key      string `json:"key"`
	Metadata string `json:"metadata"`
	Held     bool   `json:"held"`

	Server *selector.ServerStatus `json:"-"` // as the service's Selector sees it; nil without one
}

type plugin struct {
	Name   string              `json:"name"`
	Status serverplugin.Status `json:"status"`
}

type selectorState struct {
	Name   string          `json:"name"`
	Status selector.Status `json:"status"`
}

// look asks every source. service is the path whose instances are wanted, "" for that of a Discovery that has one only.
func (p *page) look(now time.Time, name, service string) *state {
	s := &state{At: now, Discoveries: []discovery{}, Plugins: []plugin{}, Selectors: []selectorState{}, name: name, service: service}
	for _, key := range slices.Sorted(maps.Keys(p.sources.Selectors)) {
		if sel := p.sources.Selectors[key]; sel != nil {
			s.Selectors = append(s.Selectors, selectorState{key, sel.Status()})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.sources.Plugins)) {
		if pl := p.sources.Plugins[key]; pl != nil {
			s.Plugins = append(s.Plugins, plugin{key, pl.Status()})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.sources.Discoveries)) {
		d := p.sources.Discoveries[key]
		if d == nil || name != "" && name != key {
			continue
		}
		one := discovery{Name: key, Status: d.Status(), Changes: d.Changes()}
		if path := one.wanted(service); path != "" {
			one.List = s.list(d, key, path, len(one.services()) == 1)
		}
		s.Discoveries = append(s.Discoveries, one)
	}
	return s
}

// wanted is the service whose instances are to be shown, "" for none.
func (d *discovery) wanted(service string) string {
	all := d.services()
	if service == "" && len(all) == 1 {
		return all[0].Service
	}
	return service
}

// services are the states of all services, by path.
func (d *discovery) services() []zkdiscovery.Status {
	all := slices.Clone(d.Status.Services)
	if !d.Status.Template {
		all = append(all, d.Status)
	}
	slices.SortFunc(all, func(a, b zkdiscovery.Status) int { return strings.Compare(a.Service, b.Service) })
	return all
}

// list is the service's at path; nil when it is not mirrored.
func (s *state) list(d *zkdiscovery.Discovery, name, path string, alone bool) *list {
	snapshots := d.Snapshots()
	i := slices.IndexFunc(snapshots, func(s zkdiscovery.Snapshot) bool { return s.Service == path })
	if i < 0 {
		return nil
	}
	servers := s.serversOf(name, path, alone)
	l := &list{Service: path, Instances: make([]instance, len(snapshots[i].Servers))}
	for at, kv := range snapshots[i].Servers {
		_, held := slices.BinarySearch(snapshots[i].Held, kv.Key)
		l.Instances[at] = instance{Key: kv.Key, Metadata: kv.Value, Held: held, Server: servers[kv.Key]}
	}
	return l
}

// serversOf is what the Selector of a service sees, by key. It has the name of the Discovery, where that has no other service; else the service's path, or
// the last part of that.
func (s *state) serversOf(name, path string, alone bool) map[string]*selector.ServerStatus {
	names := []string{path, path[strings.LastIndexByte(path, '/')+1:]}
	if alone {
		names = append([]string{name}, names...)
	}
	servers := make(map[string]*selector.ServerStatus)
	for _, name := range names {
		i := slices.IndexFunc(s.Selectors, func(sel selectorState) bool { return sel.Name == name })
		if i < 0 {
			continue
		}
		all := s.Selectors[i].Status.Servers
		for at := range all {
			servers[all[at].Key] = &all[at]
		}
		break
	}
	return servers
}
