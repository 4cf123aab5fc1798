// Package health is what is known of one server: whether it may be used, and what a call there costs.
//
// It does no I/O, reads no clock, rolls no dice and starts no goroutine, so that a table and a fuzzer can drive it. All times are milliseconds of one
// clock that begins when the selector is made; 0 means never.
//
//   - [Health] says whether a server may be used, and why not. Its owner guards it with a lock and feeds it with each [Event].
//   - [Load] says what one more call costs. It is read without a lock.
//   - [Permit] lets one call at a time try a server that is to come back.
//   - [Counter] counts what happened lately, and [Outliers] finds the servers that fail far more often than the others.
package health
