package main

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

const (
	maxAsked = 500 // instances of one service
	atOnce   = 32
)

// services looks at the service that is meant, or at all.
func (e *examination) services(ctx context.Context, zk *zookeeper) {
	if e.app.service == "" {
		found, refused, err := zk.services(ctx)
		for _, path := range refused {
			e.add(problem(checkService, e.mayNot(), "%s may not be listed", cell(path)))
		}
		if err != nil {
			e.add(problem(checkService, "look at one with --service", "services: %v", err))
		}
		for i := range found {
			e.service(ctx, &found[i])
		}
		return
	}
	path, err := e.app.servicePath()
	if err != nil {
		e.add(problem(checkService, "see --service", "%v", err)) // examine has looked
		return
	}
	switch sv, _, err := zk.read(ctx, path); {
	case errors.Is(err, session.ErrNoNode):
		e.add(problem(checkService, "has any server registered it? holdfast list shows what there is", "service %s does not exist", cell(path)))
	case errors.Is(err, session.ErrNoAuth):
		e.add(problem(checkService, e.mayNot(), "service %s may not be listed", cell(path)))
	case err != nil:
		e.add(problem(checkService, "look again", "service %s: %v", cell(path), err))
	case sv == nil:
		e.add(problem(checkService, "is it the path of a service? holdfast list shows what there is", "%s has no instances, but other nodes below it", cell(path)))
	default:
		e.service(ctx, sv)
	}
}

// service looks at the instances of one service.
func (e *examination) service(ctx context.Context, sv *service) {
	if len(sv.Instances) == 0 {
		e.add(hint(checkService, "is a server of it meant to run? Its log says whether it is registered", "service %s has no instance", cell(sv.Path)))
		return
	}
	if len(sv.Skipped) > 0 {
		e.add(hint(checkService, "clients skip them: a name is network@address", "service %s: %d children are no instances, %s for example",
			cell(sv.Path), len(sv.Skipped), cell(sv.Skipped[0])))
	}
	some := sv.Instances[:min(len(sv.Instances), maxAsked)]
	well, drained := 0, 0
	for i, answer := range askAll(ctx, some) {
		found := e.instance(sv.Path, &some[i], answer)
		e.add(found...)
		if problems(found) == 0 {
			well++
		}
	}
	for i := range sv.Instances {
		if sv.Instances[i].State == stateInactive {
			drained++
		}
	}
	if well > 0 {
		e.add(ok(checkService, "service %s: %d of %d instances are well", cell(sv.Path), well, len(sv.Instances)))
	}
	if len(some) < len(sv.Instances) {
		e.add(hint(checkService, "look at them on their own machines", "service %s: only %d of %d instances were asked", cell(sv.Path), len(some), len(sv.Instances)))
	}
	if drained == len(sv.Instances) {
		e.add(problem(checkService, "holdfast undrain: clients choose none of them", "service %s: every instance is drained", cell(sv.Path)))
	}
}

// instance is what is wrong with one instance.
func (e *examination) instance(path string, in *instance, answer asked) []finding {
	name := cell(path) + " " + cell(in.Key)
	var found []finding
	switch answer.how {
	case "nothing":
		found = append(found, problem(checkInstance, "does it run, and can this machine reach that address? Clients call it as long as it is listed", "%s does not answer: %v", name, answer.err))
	case "something else":
		found = append(found, problem(checkInstance, "has another program its address now, or does it demand TLS with certificates?", "%s listens, and does not speak rpcx: %v", name, answer.err))
	case "rpcx with TLS":
		found = append(found, hint(checkInstance, "clients need Option.TLSConfig, and Guard.TLS in zkdiscovery", "%s answers with TLS only", name))
	case "cannot be asked":
		found = append(found, hint(checkInstance, "nothing need be done: its network has no question of this kind", "%s cannot be asked: %v", name, answer.err))
	}
	switch in.State {
	case stateUnreadable:
		found = append(found, problem(checkInstance, e.mayNot()+". A client that starts lists it without metadata, and rpcx-zookeeper's has no list at all", "%s may not be read", name))
	case stateInactive:
		found = append(found, hint(checkInstance, "holdfast undrain, if nobody wants it so any more", "%s is drained (state=inactive), its node unchanged for %s", name, age(time.Since(in.Changed))))
	}
	if in.Owner == "" {
		found = append(found, problem(checkInstance, "it stays when its process ends: holdfast remove, when it does not answer", "%s has no owner: its node is persistent", name))
	}
	q, err := url.ParseQuery(in.Metadata)
	if n, no := strconv.Atoi(q.Get("weight")); no == nil && n <= 0 {
		found = append(found, hint(checkInstance, "holdfast weight gives it another one, if nobody wants it so any more: clients choose it only when no other has a weight",
			"%s has a weight of %d", name, n))
	}
	if err != nil {
		found = append(found, hint(checkInstance, "rpcx ignores state and group in it: write a=b&c=d", "%s: metadata is not a URL query: %v", name, err))
	}
	return found
}

// askAll asks some at once.
func askAll(ctx context.Context, instances []instance) []asked {
	answers := make([]asked, len(instances))
	var wg sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for i, in := range instances {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			answers[i] = ask(ctx, in.Key)
		})
	}
	wg.Wait()
	return answers
}
