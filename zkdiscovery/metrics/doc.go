// Package metrics is the one table of what Holdfast measures, for the adapters zkdiscovery/prometheus and zkdiscovery/otel, and for any other.
//
// [Table] has the metrics, and [Sources.Collect] their values of this moment, read from the Status of each source. Nothing is kept between two
// calls, nothing is counted beside, and nothing costs while nobody asks.
//
// # Labels
//
// Every metric has the label name: the one that Sources gives to a Discovery, a plugin or a Selector. Others are service (a znode path in ZooKeeper, a
// name in a plugin), source, phase, state. Those words are the ones of the log and of the status page. An instance's address is a label only
// where Sources.Instances says so: a fleet that is replaced every day makes as many series as it has ever had addresses.
//
// The value of a label is UTF-8 of 256 bytes at most. What was longer ends in a checksum, so that two of them stay two.
//
// # States
//
// A state, such as where a list comes from, is one gauge for each value that it can have: 1 for the one that it has, 0 for the others. A moment
// is in seconds since 1970, and left out when there was none.
package metrics
