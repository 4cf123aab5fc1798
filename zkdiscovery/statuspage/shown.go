package statuspage

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/internal/plain"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/zkdiscovery"
	"github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"
)

// shown is a state as the template wants it: words, and nothing to be reckoned.
type shown struct {
	At          string
	Alone       bool // one service was asked for
	Discoveries []shownDiscovery
	Plugins     []shownPlugin
	Selectors   []shownSelector
}

type shownDiscovery struct {
	Name     string
	Status   zkdiscovery.Status
	Line     string         // the connection in one sentence
	Services []shownService // those in trouble first
	Total    int            // services
	First    int            // of those that are shown
	Next     string         // link to the services after these, "" for none
	Detail   *shownDetail
	Changes  []shownChange // the newest first
	History  []shownEvent  // the newest first
}

// shownService is flat and made of words, since there may be hundreds, and a template looks every field up by its name.
type shownService struct {
	Link, Service, Source, Age, Confirmed string
	Instances, Held, Watchers, File       string
	Override, Trouble, Refusal            string
}

type shownDetail struct {
	Service   string
	Total     int
	Instances []shownInstance
	First     int
	Next      string // link to the instances after these, "" for none
	Held      []shownHeld
	Selector  bool // somebody chooses among them
}

type shownInstance struct {
	instance
	State, Share, Peak string
}

type shownHeld struct {
	zkdiscovery.Held
	Missed, Goes string
}

type shownChange struct {
	zkdiscovery.Change
	Ago string
}

type shownEvent struct {
	zkdiscovery.ConnectionEvent
	Ago string
}

type shownPlugin struct {
	Name     string
	Status   serverplugin.Status
	Line     string
	Services []shownRegistration
}

type shownRegistration struct {
	serverplugin.ServiceStatus
	Ago string
}

type shownSelector struct {
	selectorState
	Counts string
}

func (s *state) shown(from, first int) shown {
	page := shown{At: s.At.UTC().Format("2006-01-02 15:04:05 MST"), Alone: s.service != ""}
	for _, d := range s.Discoveries {
		page.Discoveries = append(page.Discoveries, s.discovery(d, from, first))
	}
	for _, p := range s.Plugins {
		one := shownPlugin{Name: p.Name, Status: p.Status, Line: connection(p.Status.Connected, p.Status.Server, s.ago(p.Status.Since), p.Status.LastErr)}
		for _, sv := range p.Status.Services {
			one.Services = append(one.Services, shownRegistration{sv, s.ago(sv.Since)})
		}
		page.Plugins = append(page.Plugins, one)
	}
	for _, sel := range s.Selectors {
		var counts [selector.Spare + 1]int
		for _, sv := range sel.Status.Servers {
			counts[sv.State]++
		}
		one := shownSelector{selectorState: sel}
		for state, n := range counts {
			if n > 0 {
				one.Counts += fmt.Sprintf(" · %d %v", n, selector.State(state))
			}
		}
		page.Selectors = append(page.Selectors, one)
	}
	return page
}

func (s *state) discovery(d discovery, from, first int) shownDiscovery {
	one := shownDiscovery{Name: d.Name, Status: d.Status, Line: connection(d.Status.Connected, d.Status.Server, s.ago(d.Status.Since), d.Status.LastErr)}
	if d.Status.Wire != "" {
		one.Line += " (" + d.Status.Wire + ")"
	}
	all := slices.DeleteFunc(d.services(), func(st zkdiscovery.Status) bool { return s.service != "" && s.service != st.Service })
	slices.SortStableFunc(all, func(a, b zkdiscovery.Status) int { return cmp.Compare(calm(&a), calm(&b)) })
	one.Total, one.First = len(all), min(first, max(0, len(all)-1))
	to := min(len(all), one.First+maxServices)
	if to < len(all) {
		one.Next = "?name=" + url.QueryEscape(d.Name) + "&services=" + strconv.Itoa(to)
	}
	for i := range all[one.First:to] {
		st := &all[one.First+i]
		one.Services = append(one.Services, s.row(d.Name, st))
		if d.List != nil && st.Service == d.List.Service {
			one.Detail = s.detail(d, *st, from)
		}
	}
	for _, c := range slices.Backward(d.Changes) {
		if s.service == "" || c.Service == s.service {
			one.Changes = append(one.Changes, shownChange{c, s.ago(c.At)})
		}
	}
	for _, e := range slices.Backward(d.Status.History) {
		one.History = append(one.History, shownEvent{e, s.ago(e.At)})
	}
	return one
}

// calm is 0 for a service that somebody should look at, and 1 for one that is well.
func calm(st *zkdiscovery.Status) int {
	if st.Source == zkdiscovery.Live && st.Held == 0 && st.Instances > 0 && st.Refusal == nil && st.CacheErr == nil {
		return 1
	}
	return 0
}

// row is what is shown of a service among others.
func (s *state) row(name string, st *zkdiscovery.Status) shownService {
	row := shownService{
		Link: link(name, st.Service, 0), Service: plain.Text(st.Service, maxText), Source: st.Source.String(), Age: s.ago(st.SourceSince),
		Confirmed: s.ago(st.AsOf), Instances: strconv.Itoa(st.Instances), Watchers: strconv.Itoa(st.Watchers), File: "none",
	}
	if st.Held > 0 {
		row.Held = strconv.Itoa(st.Held)
	}
	if st.Source == zkdiscovery.Override {
		row.Override = plain.Text(st.OverrideFile, maxText)
	}
	if st.Refusal != nil {
		row.Refusal = plain.Text(st.Refusal.Error(), maxText)
	}
	switch {
	case st.CacheErr != nil:
		row.File, row.Trouble = "", plain.Text(st.CacheErr.Error(), maxText)
	case st.CacheFile != "" && st.Saves == 1:
		row.File = "saved once"
	case st.CacheFile != "":
		row.File = "saved " + strconv.FormatInt(st.Saves, 10) + " times"
	}
	return row
}

func (s *state) detail(d discovery, st zkdiscovery.Status, from int) *shownDetail {
	all := d.List.Instances
	from = min(from, max(0, len(all)-1))
	to := min(len(all), from+maxInstances)
	detail := &shownDetail{Service: st.Service, Total: len(all), First: from}
	if to < len(all) {
		detail.Next = link(d.Name, st.Service, to)
	}
	for _, i := range all[from:to] {
		one := shownInstance{instance: i}
		if q, err := url.ParseQuery(i.Metadata); err == nil && q.Get("state") == "inactive" {
			one.State = "drained"
		}
		if sv := i.Server; sv != nil {
			detail.Selector = true
			one.State, one.Share, one.Peak = sv.State.String(), fmt.Sprintf("%.1f %%", 100*sv.Share), sv.Peak.Round(10*time.Microsecond).String()
			if sv.Reason != selector.NoReason {
				one.State += ", " + sv.Reason.String()
			}
			if !sv.Until.IsZero() {
				one.State += ", until " + sv.Until.UTC().Format(time.TimeOnly)
			}
		}
		detail.Instances = append(detail.Instances, one)
	}
	for _, h := range st.HeldServers {
		one := shownHeld{Held: h, Missed: s.ago(h.Since), Goes: "as long as nothing else happens"}
		if !h.Until.IsZero() {
			one.Goes = "until " + h.Until.UTC().Format(time.TimeOnly)
		}
		detail.Held = append(detail.Held, one)
	}
	return detail
}

func link(name, service string, from int) string {
	l := "?name=" + url.QueryEscape(name) + "&service=" + url.QueryEscape(service)
	if from > 0 {
		l += "&from=" + strconv.Itoa(from)
	}
	return l
}

// ago is how long ago something was, in two units at most; "" for never.
func (s *state) ago(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	d := s.At.Sub(at)
	switch {
	case d < 0:
		return "in the future"
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

func connection(up bool, server, since string, why error) string {
	switch {
	case since == "":
		return "never asked"
	case up:
		return "connected to " + server + " for " + since
	case why != nil:
		return "not connected for " + since + ": " + why.Error()
	}
	return "not connected for " + since
}
