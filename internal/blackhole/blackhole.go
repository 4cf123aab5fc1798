// Package blackhole makes addresses on loopback at which nothing answers, for tests of what waits for dials.
package blackhole
