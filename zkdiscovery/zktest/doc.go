// Package zktest is a ZooKeeper for tests and demonstrations: an in-process server that speaks the wire protocol, and a launcher of real
// ZooKeeper processes.
package zktest
