package selector

import (
	"slices"

	"github.com/holdfast-go/holdfast/selector/internal/policy"
)

// pool is the servers that calls may go to, whatever their state, and what the policies make of their weights. It never changes.
type pool struct {
	servers []*server
	groups  []*group // one for each tag, by tag
}

// group is the servers of one tag.
type group struct {
	tag     string
	servers []*server
	members []policy.Member // the same servers
	ring    *policy.Ring    // for ConsistentHash
	turns   *policy.Turns   // for WeightedRoundRobin
}

// used cuts the ranked servers into tags, of each as many as the subset takes.
func (r *roster) used(n int) (tags [][]*server) {
	for rest := r.ranked; len(rest) > 0; {
		end := slices.IndexFunc(rest, func(srv *server) bool { return srv.known.traits.tag != rest[0].known.traits.tag })
		if end < 0 {
			end = len(rest)
		}
		tags, rest = append(tags, rest[:subset(rest[:end], n)]), rest[end:]
	}
	return tags
}

// newPool makes the roster's pool if the list, or what a subset takes of it, has changed.
func (r *roster) newPool(c *config) {
	ranked := r.ranked != nil
	switch {
	case !ranked:
		r.rank()
	case c.subset == 0:
		return
	}
	tags := r.used(c.subset)
	if ranked && slices.EqualFunc(tags, r.pool.groups, func(used []*server, g *group) bool { return len(used) == len(g.servers) }) {
		return // by rank, so they are the same
	}
	p := &pool{servers: slices.Concat(tags...)}
	lanes := map[string]*lane{"": r.lane("")} // those of other tags are given up
	for _, servers := range tags {
		g := &group{tag: servers[0].known.traits.tag, servers: servers, members: make([]policy.Member, len(servers))}
		lane := r.lane(g.tag)
		lanes[g.tag] = lane
		raw := make([]uint32, len(servers))
		for i, srv := range servers {
			raw[i] = srv.known.traits.weight
		}
		for i, w := range policy.Weights(raw) {
			g.members[i] = policy.Member{Load: &servers[i].load, Hash: servers[i].hash, Weight: w}
		}
		switch c.policy {
		case ConsistentHash:
			g.ring = policy.NewRing(g.members)
		case WeightedRoundRobin:
			lane.turns = lane.turns.With(g.members)
			g.turns = lane.turns
		case Locality:
			far := make([]float64, len(servers))
			for i, srv := range servers {
				if srv.known.far = srv.known.traits.position.kilometres(c.position); c.zone != "" && srv.known.traits.zone == c.zone {
					srv.known.far = -1
				}
				far[i] = srv.known.far
			}
			policy.SetTiers(g.members, far)
		default:
		}
		p.groups = append(p.groups, g)
	}
	r.pool, r.lanes = p, lanes
}
