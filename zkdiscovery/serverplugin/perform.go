package serverplugin

import (
	"errors"
	"math/rand/v2"
	"strings"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// spread is a new node's share of every jitter.
func spread() float64 { return rand.Float64() }

// perform does the jobs of a task and says what came of each.
func (r *registrar) perform(task []job) []answer {
	answers := make([]answer, len(task))
	for i, j := range task {
		answers[i].job = j
	}
	switch {
	case task[0].action.kind == look:
		r.lookAt(answers)
	case len(task) == 1:
		r.writeAlone(&answers[0])
	default:
		r.writeTogether(answers)
	}
	return answers
}

// lookAt does looks. Where one is refused, those behind it were not made.
func (r *registrar) lookAt(answers []answer) {
	paths := make([]string, len(answers))
	for i, a := range answers {
		if paths[i] = a.entry.path; a.action.rearm {
			r.session.Rearm(paths[i])
		}
	}
	all, err := r.session.Look(r.ctx, !answers[0].action.glance, paths...)
	for i := range answers {
		a := &answers[i]
		switch {
		case i < len(all):
			a.found, a.err = all[i], all[i].Err
		case i == len(all), !isRefusal(err):
			a.err = err
		default:
			a.err = session.ErrNotConnected
		}
		a.kind = outcome(found, a.err)
	}
}

// writeAlone does one write. A persistent node is replaced with what is below it.
func (r *registrar) writeAlone(a *answer) {
	path, do := a.entry.path, a.action
	if do.kind == create {
		a.says(r.create(a.session, path, do.data))
		return
	}
	ops := r.ops(path, do)
	_, err := r.session.Write(r.ctx, a.session, ops...)
	if do.kind == takeOver && errors.Is(err, session.ErrNotEmpty) {
		var below []session.Op
		if below, err = r.removalsBelow(path); err == nil {
			_, err = r.session.Write(r.ctx, a.session, append(below, ops...)...)
		}
	}
	a.says(err)
}

// says notes what came of a write.
func (a *answer) says(err error) { a.kind, a.err = outcome(wrote, err), err }

// ops are what a write is.
func (r *registrar) ops(path string, do action) []session.Op {
	switch do.kind {
	case create:
		return []session.Op{r.node(path, do.data)}
	case takeOver:
		return r.takeOver(path, do)
	case set:
		return []session.Op{session.Set{Path: path, Data: []byte(do.data), Version: do.version}}
	default:
		return []session.Op{session.Delete{Path: path, Version: do.version}}
	}
}

// isRefusal reports whether err is ZooKeeper's answer, and of the kind that step knows least of.
func isRefusal(err error) bool { return outcome(wrote, err) == refused }

// outcome puts an error into the classes that step knows.
func outcome(success eventKind, err error) eventKind {
	switch {
	case err == nil:
		return success
	case errors.Is(err, session.ErrLost):
		return lost
	case errors.Is(err, session.ErrNotConnected), errors.Is(err, session.ErrClosed):
		return unsent
	case errors.Is(err, session.ErrNodeExists), errors.Is(err, session.ErrBadVersion), errors.Is(err, session.ErrNoNode):
		return conflicted
	}
	return refused
}

func (r *registrar) node(path, data string) session.Create {
	return session.Create{Path: path, Data: []byte(data), ACL: r.cfg.acl, Ephemeral: true}
}

// takeOver replaces a node by one of ours, with another version. Nobody sees it missing, or without its data: ZooKeeper answers no read in the
// middle of a transaction.
func (r *registrar) takeOver(path string, do action) []session.Op {
	last := versionAfterTakeOver(do.version)
	ops := []session.Op{session.Delete{Path: path, Version: do.version}}
	for v := range last + 1 {
		data := ""
		if v == last {
			data = do.data
		}
		if v == 0 {
			ops = append(ops, r.node(path, data))
		} else {
			ops = append(ops, session.Set{Path: path, Data: []byte(data), Version: v - 1})
		}
	}
	return ops
}

// create makes a node where nothing stands, in one transaction with as many of its parents as are missing. These are persistent, and say
// what rpcx-zookeeper has them say; those that exist are left alone. A chroot is not made: it may be a slip of the pen.
func (r *registrar) create(in int64, path, data string) error {
	parents := r.parents(path)
	missing := 0 // as far as is known: the last so many of parents
	for range 2*len(parents) + 2 {
		ops := make([]session.Op, 0, missing+1)
		for _, p := range parents[len(parents)-missing:] {
			ops = append(ops, p)
		}
		failed, err := r.session.Write(r.ctx, in, append(ops, r.node(path, data))...)
		switch {
		case errors.Is(err, session.ErrNoNode):
			if missing == len(parents) {
				return r.parentError(err)
			}
			missing++
		case errors.Is(err, session.ErrNodeExists) && failed < missing:
			missing-- // somebody has made it in the meantime
		default:
			return err
		}
	}
	return session.ErrBadVersion // parents come and go: look again
}

// parents are all nodes above path, the topmost first.
func (r *registrar) parents(path string) []session.Create {
	service := strings.TrimSuffix(path, "/"+r.cfg.instance)
	var all []session.Create
	for i, c := range path {
		if c != '/' || i == 0 {
			continue
		}
		p := session.Create{Path: path[:i], ACL: r.cfg.acl}
		switch p.Path {
		case r.cfg.base:
			p.Data = []byte("rpcx_path")
		case service:
			p.Data = []byte(strings.TrimPrefix(service, r.cfg.base+"/"))
		}
		all = append(all, p)
	}
	return all
}
