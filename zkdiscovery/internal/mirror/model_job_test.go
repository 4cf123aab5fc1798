package mirror

import (
	"maps"
	"slices"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// modelJob is a job under way: requests that the server has yet to serve, one after another, and what their replies have brought.
type modelJob struct {
	Job
	queue []func() // the server's next requests
	done  bool
	err   error // why it has no answer

	absent  bool
	listing session.Listing
	stat    *session.Stat
	nodes   []session.Node
	waiting int // replies
}

// finish gives the job its outcome, the first one that it meets.
func (j *modelJob) finish(err error) {
	if !j.done {
		j.done, j.err, j.queue = true, err, nil
	}
}

// begin takes a job as internal/session does.
func (m *model) begin(j Job, watchData bool) {
	mj := &modelJob{Job: j}
	m.job = mj
	if !m.st.Connected || m.st.Link != j.link {
		mj.finish(session.ErrNotConnected)
		return
	}
	if j.Rearm {
		m.placed = watchSet{data: map[string]bool{}}
	}
	switch {
	case j.Kind == List && j.Sync:
		m.request(mj, func() func() {
			for m.advance() { // to the leader's state, and so behind the notifications that this brings
			}
			return func() { m.list(mj) }
		})
	case j.Kind == List:
		m.list(mj)
	case j.Kind == Read:
		m.readAll(mj, watchData)
	case j.Kind == Check:
		m.request(mj, func() func() {
			s := m.history[m.at]
			return func() {
				mj.Told = m.told
				if s.exists {
					st := s.stat()
					mj.stat = &st
				}
				m.readAll(mj, watchData)
			}
		})
	}
}

// request puts a request into the server's queue. serve is what the server does, and returns what the client does with the reply.
func (m *model) request(j *modelJob, serve func() (received func())) {
	m.requests++
	j.queue = append(j.queue, func() {
		received := serve()
		zxid := m.history[m.at].zxid
		m.send(func() {
			m.seen = zxid
			if j.Kind != Check { // of more than one answer, what comes last is of the path
				j.Told = m.told
			}
			received()
		})
	})
}

// serve lets the server do the next request.
func (m *model) serve() bool {
	if m.job == nil || len(m.job.queue) == 0 || !m.st.Connected {
		return false
	}
	next := m.job.queue[0]
	m.job.queue = m.job.queue[1:]
	next()
	return true
}

func (m *model) list(j *modelJob) {
	lasting := m.st.Extension.Lasting
	watch := !m.placed.child && (!lasting || j.Watch)
	m.request(j, func() func() {
		s := m.history[m.at]
		m.watching.lasting = m.watching.lasting || lasting
		if !s.exists && lasting {
			return func() {
				j.absent = true
				j.finish(nil)
			}
		}
		if !s.exists {
			return func() { m.await(j) }
		}
		m.watching.child = m.watching.child || watch
		l := session.Listing{Names: slices.Collect(maps.Keys(s.nodes)), Stat: s.stat()}
		if s.zxid%4 > 0 {
			slices.Sort(l.Names) // mostly it is one order
		}
		return func() {
			m.placed.child = m.placed.child || watch
			j.listing = l
			j.finish(nil)
		}
	})
}

// await leaves a watch for the creation of the path.
func (m *model) await(j *modelJob) {
	watch := !m.placed.exist
	m.request(j, func() func() {
		if m.history[m.at].exists {
			return func() { m.list(j) }
		}
		m.watching.exist = m.watching.exist || watch
		return func() {
			m.placed.exist = m.placed.exist || watch
			j.absent = true
			j.finish(nil)
		}
	})
}

func (m *model) readAll(j *modelJob, watchData bool) {
	lasting := m.st.Extension.Lasting
	if lasting && !m.single {
		m.readBatch(j)
		return
	}
	if j.Path && j.Kind == Read {
		j.Names = append(j.Names, "")
	}
	j.nodes = make([]session.Node, len(j.Names))
	if j.waiting = len(j.Names); j.waiting == 0 {
		j.finish(nil)
	}
	for i, name := range j.Names {
		watch := watchData && !m.placed.data[name] && !lasting
		m.request(j, func() func() {
			got := m.node(name)
			if got.Err == nil && watch {
				m.watching.data[name] = true
			}
			return func() {
				if watch && got.Err == nil {
					m.placed.data[name] = true
				}
				j.nodes[i] = got
				if j.waiting--; j.waiting == 0 {
					j.finish(nil)
				}
			}
		})
	}
}

// node is what the server answers to a read; "" is the service path.
func (m *model) node(name string) session.Node {
	s := m.history[m.at]
	n, ok := s.nodes[name]
	got := session.Node{Name: name}
	switch {
	case name == "" && s.exists:
		got.Stat = s.stat()
	case !ok:
		got.Err = session.ErrNoNode
	case n.denied:
		got.Err = session.ErrNoAuth
	default:
		got.Data, got.Stat = []byte(n.value), session.Stat{Czxid: n.czxid, Mzxid: n.mzxid}
	}
	return got
}

// readBatch reads everything at one moment.
func (m *model) readBatch(j *modelJob) {
	m.request(j, func() func() {
		var nodes []session.Node
		for _, name := range j.Names {
			nodes = append(nodes, m.node(name))
		}
		if j.Path && j.Kind == Read {
			nodes = append(nodes, m.node(""))
		}
		return func() {
			j.nodes = nodes
			j.finish(nil)
		}
	})
}

// answered is the nodes that the client was told of.
func (j *modelJob) answered() []session.Node {
	return slices.DeleteFunc(slices.Clone(j.nodes), func(n session.Node) bool { return n.Name == "" })
}
