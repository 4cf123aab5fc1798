package selector

// member is a server that calls may go to.
type member struct {
	server   *server
	weight   uint32  // 1 to fine
	relative float32 // weight, 1 being the mean
	tier     int     // how near, 0 first
}

// pool is the servers that calls may go to, whatever their state, and what the policies make of their weights. It never changes.
type pool struct {
	members []member
	ring    *ring // for ConsistentHash
}

// newPool returns the pool of those servers, whose traits Selector.mu guards. What it has in common with old is taken from there.
func newPool(servers []*server, c *config, old *pool) *pool {
	weights := make([]uint32, len(servers))
	drained := true // all of them: then all have the weight 1
	for i, srv := range servers {
		weights[i] = srv.traits.weight
		drained = drained && weights[i] == 0
	}
	if drained {
		for i := range weights {
			weights[i] = 1
		}
	}
	tame(weights)
	var sum float64
	for _, w := range weights {
		sum += float64(w)
	}
	p := &pool{members: make([]member, len(servers))}
	for i, srv := range servers {
		p.members[i] = member{server: srv, weight: weights[i], relative: float32(float64(weights[i]) * float64(len(servers)) / sum)}
	}
	switch c.policy {
	case ConsistentHash:
		p.ring = newRing(p.members, old.ring)
	case Locality:
		distances(p.members, c.zone, c.position)
	default:
	}
	return p
}
