package metrics

import "github.com/holdfast-go/holdfast/zkdiscovery/serverplugin"

type plugin = serverplugin.Status

var pluginRows = []row[plugin]{
	gauge("holdfast.registration.registered", "", "1 while every service that is to be registered is.",
		of(func(st *plugin) float64 { return bit(st.Registered) })),
	gauge("holdfast.registration.phase", "", "How far the registration of a service is: 1 for the phase that it has.",
		func(st *plugin, emit emitter) {
			for _, s := range st.Services {
				states(s.Phase, serverplugin.Unregistering, emit, s.Name)
			}
		}, "service", "phase"),
	gauge("holdfast.registration.phase.since.timestamp", "s", "When the phase began.",
		func(st *plugin, emit emitter) {
			for _, s := range st.Services {
				stamp(s.Since, emit, s.Name)
			}
		}, "service"),
	gauge("holdfast.registration.failing", "", "1 while ZooKeeper refuses what is asked of it for a service.",
		func(st *plugin, emit emitter) {
			for _, s := range st.Services {
				emit(bit(s.Err != nil), s.Name)
			}
		}, "service"),
	counter("holdfast.registration.looks", "{node}", "Nodes read.", of(func(st *plugin) float64 { return float64(st.Looks) })),
	counter("holdfast.registration.writes", "{node}", "Nodes created, changed or deleted.", of(func(st *plugin) float64 { return float64(st.Writes) })),
	counter("holdfast.registration.takeovers", "{node}", "Nodes of another session that were replaced.",
		of(func(st *plugin) float64 { return float64(st.Takeovers) })),
	counter("holdfast.registration.failures", "{request}", "Looks and writes that ended without success.",
		of(func(st *plugin) float64 { return float64(st.Failures) })),

	gauge("holdfast.registration.connected", "", "1 while there is a connection to ZooKeeper.",
		of(func(st *plugin) float64 { return bit(st.Connected) })),
	gauge("holdfast.registration.connected.since.timestamp", "s", "When the connection last came or went.",
		func(st *plugin, emit emitter) { stamp(st.Since, emit) }),
	counter("holdfast.registration.connections", "{connection}", "Connections to ZooKeeper so far.",
		of(func(st *plugin) float64 { return float64(st.Connections) })),
	counter("holdfast.registration.sessions", "{session}", "ZooKeeper sessions so far.",
		of(func(st *plugin) float64 { return float64(st.Sessions) })),
	gauge("holdfast.registration.failed_rounds", "{round}", "Rounds through all ZooKeeper servers that failed since the last connection.",
		of(func(st *plugin) float64 { return float64(st.FailedRounds) })),
}
