package metrics

import "github.com/holdfast-go/holdfast/selector"

// choice is the Status of a Selector, and whether its servers are to be told one by one.
type choice struct {
	selector.Status
	instances bool
}

// byServer reads a metric of every server, where that is wanted.
func byServer(read func(s *selector.ServerStatus, emit emitter)) func(*choice, emitter) {
	return func(st *choice, emit emitter) {
		if !st.instances {
			return
		}
		for i := range st.Servers {
			read(&st.Servers[i], emit)
		}
	}
}

func serverNumber(value func(s *selector.ServerStatus) float64) func(*choice, emitter) {
	return byServer(func(s *selector.ServerStatus, emit emitter) { emit(value(s), s.Key) })
}

var selectorRows = []row[choice]{
	gauge("holdfast.selector.servers", "{server}", "Servers in each state.",
		func(st *choice, emit emitter) {
			var counts [selector.Spare + 1]int
			for _, s := range st.Servers {
				counts[s.State]++
			}
			for state, n := range counts {
				emit(float64(n), selector.State(state).String())
			}
		}, "state"),
	gauge("holdfast.selector.in_flight", "{call}", "Calls whose outcome is to come.", of(func(st *choice) float64 {
		n := 0
		for _, s := range st.Servers {
			n += s.InFlight
		}
		return float64(n)
	})),
	gauge("holdfast.selector.live", "", "1 while the list is live, as the function given to WithLive says.",
		of(func(st *choice) float64 { return bit(st.Live) })),
	gauge("holdfast.selector.panic", "", "1 while so many servers fail that ejections are ignored.",
		of(func(st *choice) float64 { return bit(st.Panic) })),
	counter("holdfast.selector.retries", "{call}", "Second attempts and backups that were made.",
		of(func(st *choice) float64 { return float64(st.Retries) })),
	counter("holdfast.selector.retries.denied", "{call}", "Second attempts and backups that the budget did not allow.",
		of(func(st *choice) float64 { return float64(st.RetriesDenied) })),

	gauge("holdfast.selector.server.state", "", "State of one server: 1 for the state that it has.",
		byServer(func(s *selector.ServerStatus, emit emitter) { states(s.State, selector.Spare, emit, s.Key) }), "instance", "state"),
	counter("holdfast.selector.server.picks", "{call}", "How often a server was chosen, since it is listed.",
		serverNumber(func(s *selector.ServerStatus) float64 { return float64(s.Picks) }), "instance"),
	gauge("holdfast.selector.server.share", "", "Share of the picks of the last minute, 0 to 1.",
		serverNumber(func(s *selector.ServerStatus) float64 { return s.Share }), "instance"),
	gauge("holdfast.selector.server.peak", "s", "The latency that P2C goes by.",
		serverNumber(func(s *selector.ServerStatus) float64 { return s.Peak.Seconds() }), "instance"),
	counter("holdfast.selector.server.calls", "{call}", "How calls to a server ended, since it is listed.",
		byServer(func(s *selector.ServerStatus, emit emitter) {
			for _, o := range []struct {
				outcome string
				calls   uint64
			}{
				{"succeeded", s.Succeeded},
				{"service error", s.ServiceErrors},
				{"transport error", s.TransportErrors},
				{"timeout", s.Timeouts},
				{"dial error", s.DialErrors},
				{"written", s.Written},
				{"given up", s.GivenUp},
				{"not sent", s.NotSent},
			} {
				emit(float64(o.calls), s.Key, o.outcome)
			}
		}), "instance", "outcome"),
}
