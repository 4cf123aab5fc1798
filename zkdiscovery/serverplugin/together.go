package serverplugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// What is done in one request. A server takes requests of up to 1 MiB, and over a slow connection, of 48 KB/s, 64 KiB take a second and a half.
const (
	mostTogether     = 500      // jobs
	mostBytes        = 64 << 10 // of their writes, without their parents'
	failuresTogether = 2        // in a row, and a job is done alone: perhaps it is what the others fail for
	mostTurns        = 8        // of a transaction that is refused for one of its writes
)

// nextTask takes jobs out of a queue that is not empty which go together, all in one session: looks that leave a watch, looks that leave none, or writes,
// which then go into one transaction. What can wait does, also while something urgent is under way: there is no task then.
func nextTask(queue []job, cfg *config, urgent bool) (task, rest []job) {
	first := slices.IndexFunc(queue, func(j job) bool { return !j.canWait() })
	if first < 0 && urgent {
		return nil, queue
	}
	first = max(first, 0)
	rest = append(rest, queue[:first]...)
	bytes := 0
	for _, j := range queue[first:] {
		size := 0
		if j.action.kind != look {
			size = j.size(cfg)
		}
		if j.session != queue[first].session || j.way() != queue[first].way() || len(task) == mostTogether || len(task) > 0 && bytes+size > mostBytes {
			rest = append(rest, j)
			continue
		}
		task, bytes = append(task, j), bytes+size
	}
	return task, rest
}

// canWait reports whether others go first. A look that leaves a watch can wait: what it looks at is registered.
func (j *job) canWait() bool { return j.action.kind == look && !j.action.glance }

// way is what jobs must have in common to go together.
func (j *job) way() [2]bool { return [...]bool{j.action.kind == look, j.action.glance} }

// size is about how many bytes a write takes: of every operation a header, the path, the data and whatever else there is, and of a creation who may
// do what.
func (j *job) size(cfg *config) int {
	const header = 40
	one := header + len(j.entry.path)
	size := one + len(j.action.data)
	switch j.action.kind {
	case takeOver:
		size += (1 + int(versionAfterTakeOver(j.action.version))) * one
		fallthrough
	case create:
		for _, a := range cfg.acl {
			size += 12 + len(a.Scheme) + len(a.ID)
		}
	default:
	}
	return size
}

// writeTogether does writes in one transaction, with as many of the parents as are missing. It falls apart only where a write is refused: that one
// has its answer then, and the others are done without it.
func (r *registrar) writeTogether(answers []answer) {
	left := make([]*answer, len(answers))
	for i := range answers {
		left[i] = &answers[i]
	}
	var parents []session.Create
	for turn := 0; len(left) > 0; turn++ {
		if turn == mostTurns {
			sayAll(left, session.ErrBadVersion) // much changes: look again
			return
		}
		ops, of := r.transaction(parents, left)
		failed, err := r.session.Write(r.ctx, left[0].session, ops...)
		if kind := outcome(wrote, err); kind != conflicted && kind != refused || failed < 0 {
			sayAll(left, err)
			return
		}
		switch at := of[failed]; {
		case at < 0 && isRefusal(err), at < 0 && errors.Is(err, session.ErrNoNode) && isTopmost(parents[failed].Path):
			var below []*answer
			below, left = split(left, parents[failed].Path)
			sayAll(below, r.parentError(err))
			continue
		case at < 0, errors.Is(err, session.ErrNoNode) && left[at].action.kind == create:
		case errors.Is(err, session.ErrNotEmpty):
			r.writeAlone(left[at])
			left = slices.Delete(left, at, at+1)
			continue
		default:
			left[at].says(err)
			left = slices.Delete(left, at, at+1)
			continue
		}
		if parents, err = r.missingParents(left); err != nil {
			if !isRefusal(err) {
				err = session.ErrNotConnected // nothing was written
			}
			sayAll(left, err)
			return
		}
	}
}

func sayAll(answers []*answer, err error) {
	for _, a := range answers {
		a.says(err)
	}
}

// transaction is what parents and the writes of answers are together. Operation i is of[i]'s, and -1's if it is a parent's.
func (r *registrar) transaction(parents []session.Create, answers []*answer) (ops []session.Op, of []int) {
	for _, p := range parents {
		ops, of = append(ops, p), append(of, -1)
	}
	for i, a := range answers {
		for _, op := range r.ops(a.entry.path, a.action) {
			ops, of = append(ops, op), append(of, i)
		}
	}
	return ops, of
}

// split takes out the creations below a path.
func split(answers []*answer, path string) (below, others []*answer) {
	for _, a := range answers {
		if a.action.kind == create && strings.HasPrefix(a.entry.path, path+"/") {
			below = append(below, a)
		} else {
			others = append(others, a)
		}
	}
	return below, others
}

// missingParents are those of the parents of what is to be created that do not exist, each after its own parent.
func (r *registrar) missingParents(answers []*answer) ([]session.Create, error) {
	var all []session.Create
	var paths []string
	known := make(map[string]bool)
	for _, a := range answers {
		if a.action.kind != create {
			continue
		}
		for _, p := range r.parents(a.entry.path) {
			if !known[p.Path] {
				known[p.Path] = true
				all, paths = append(all, p), append(paths, p.Path)
			}
		}
	}
	found, err := r.session.Look(r.ctx, false, paths...)
	if err != nil {
		return nil, err
	}
	var missing []session.Create
	for i, f := range found {
		if !f.Exists && f.Err == nil {
			missing = append(missing, all[i])
		}
	}
	return missing, nil
}

func isTopmost(path string) bool { return strings.LastIndexByte(path, '/') == 0 }

// parentError says what it means that a parent cannot be made.
func (r *registrar) parentError(err error) error {
	if errors.Is(err, session.ErrNoNode) {
		return fmt.Errorf("the chroot %q does not exist", r.cfg.session.Chroot)
	}
	return err
}
