package metrics

import (
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery"
)

type emitter = func(value float64, labels ...string)

// each reads a metric of every service that a Status tells of.
func each(read func(st *zkdiscovery.Status, emit emitter)) func(*zkdiscovery.Status, emitter) {
	return func(st *zkdiscovery.Status, emit emitter) {
		if !st.Template {
			read(st, emit)
		}
		for i := range st.Services {
			read(&st.Services[i], emit)
		}
	}
}

// one is each for a metric that has no label but the service.
func one(value func(st *zkdiscovery.Status) float64) func(*zkdiscovery.Status, emitter) {
	return each(func(st *zkdiscovery.Status, emit emitter) { emit(value(st), st.Service) })
}

// moment is one for a point in time.
func moment(at func(st *zkdiscovery.Status) time.Time) func(*zkdiscovery.Status, emitter) {
	return each(func(st *zkdiscovery.Status, emit emitter) { stamp(at(st), emit, st.Service) })
}

func stamp(at time.Time, emit emitter, labels ...string) {
	if !at.IsZero() {
		emit(float64(at.UnixMilli())/1000, labels...)
	}
}

// of is for what all services of a source have in common.
func of[S any](value func(st *S) float64) func(*S, emitter) {
	return func(st *S, emit emitter) { emit(value(st)) }
}

type discovery = zkdiscovery.Status

var discoveryRows = []row[discovery]{
	gauge("holdfast.discovery.source", "", "Where the list comes from: 1 for the source that it has.",
		each(func(st *discovery, emit emitter) { states(st.Source, zkdiscovery.Live, emit, st.Service) }), "service", "source"),
	gauge("holdfast.discovery.source.since.timestamp", "s", "When the list began to come from where it comes from.",
		moment(func(st *discovery) time.Time { return st.SourceSince }), "service"),
	gauge("holdfast.discovery.confirmed.timestamp", "s", "When ZooKeeper last confirmed the list.",
		moment(func(st *discovery) time.Time { return st.AsOf }), "service"),
	gauge("holdfast.discovery.instances", "{instance}", "Instances in the list.",
		one(func(st *discovery) float64 { return float64(st.Instances) }), "service"),
	gauge("holdfast.discovery.held", "{instance}", "Instances in the list that ZooKeeper no longer lists, kept by the guard.",
		one(func(st *discovery) float64 { return float64(st.Held) }), "service"),
	gauge("holdfast.discovery.skipped", "{node}", "Children of the service path whose name is not network@address.",
		one(func(st *discovery) float64 { return float64(st.Skipped) }), "service"),
	gauge("holdfast.discovery.watchers", "{watcher}", "Channels that receive the list.",
		one(func(st *discovery) float64 { return float64(st.Watchers) }), "service"),
	gauge("holdfast.discovery.revision", "{revision}", "Grows with every published list.",
		one(func(st *discovery) float64 { return float64(st.Revision) }), "service"),
	counter("holdfast.discovery.lists", "{list}", "Lists asked of ZooKeeper.",
		one(func(st *discovery) float64 { return float64(st.Lists) }), "service"),
	counter("holdfast.discovery.reads", "{instance}", "Instances read from ZooKeeper.",
		one(func(st *discovery) float64 { return float64(st.Reads) }), "service"),
	counter("holdfast.discovery.checks", "{check}", "Looks at rest, whether a change was missed.",
		one(func(st *discovery) float64 { return float64(st.Checks) }), "service"),
	counter("holdfast.discovery.mended", "{change}", "Changes that no watch had told of.",
		one(func(st *discovery) float64 { return float64(st.Mended) }), "service"),
	counter("holdfast.discovery.cache.saves", "{write}", "Successful writes of the cache file.",
		one(func(st *discovery) float64 { return float64(st.Saves) }), "service"),
	counter("holdfast.discovery.cache.save_errors", "{write}", "Writes of the cache file that failed.",
		one(func(st *discovery) float64 { return float64(st.SaveErrors) }), "service"),
	gauge("holdfast.discovery.cache.failing", "", "1 while the cache file cannot be written.",
		one(func(st *discovery) float64 { return bit(st.CacheErr != nil) }), "service"),
	gauge("holdfast.discovery.cache.saved.timestamp", "s", "When this process last wrote the cache file.",
		moment(func(st *discovery) time.Time { return st.CacheSaved }), "service"),

	gauge("holdfast.discovery.connected", "", "1 while there is a connection to ZooKeeper.",
		of(func(st *discovery) float64 { return bit(st.Connected) })),
	gauge("holdfast.discovery.persistent_watches", "", "1 while the ZooKeeper server that is connected is asked for watches that stay.",
		of(func(st *discovery) float64 { return bit(strings.Contains(st.Wire, "persistent watches")) })),
	gauge("holdfast.discovery.batched_reads", "", "1 while the ZooKeeper server that is connected is asked for many nodes at once.",
		of(func(st *discovery) float64 { return bit(strings.Contains(st.Wire, "batched reads")) })),
	gauge("holdfast.discovery.connected.since.timestamp", "s", "When the connection last came or went.",
		func(st *discovery, emit emitter) { stamp(st.Since, emit) }),
	counter("holdfast.discovery.connections", "{connection}", "Connections to ZooKeeper so far.",
		of(func(st *discovery) float64 { return float64(st.Connections) })),
	counter("holdfast.discovery.sessions", "{session}", "ZooKeeper sessions so far.",
		of(func(st *discovery) float64 { return float64(st.Sessions) })),
	gauge("holdfast.discovery.failed_rounds", "{round}", "Rounds through all ZooKeeper servers that failed since the last connection.",
		of(func(st *discovery) float64 { return float64(st.FailedRounds) })),
	gauge("holdfast.discovery.session.timeout", "s", "The negotiated session timeout.",
		of(func(st *discovery) float64 { return st.SessionTimeout.Seconds() })),
	gauge("holdfast.discovery.path.missing", "", "1 while the chroot or the base path does not exist in ZooKeeper.",
		of(func(st *discovery) float64 { return bit(st.MissingPath != "") })),
}
