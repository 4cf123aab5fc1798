// Package policy says which server to call: given the members of a list with their weights and loads, and those that can be used, it returns the index of one.
//
// It knows nothing of why a member cannot be used, starts no goroutine and reads no clock. Random numbers are given to it.
//
//   - [Urn] draws at random, by weight. [Urn.LessLoaded] is the less loaded of two draws.
//   - [Turns] takes members in turn.
//   - [Ring] is consistent hashing.
//   - [Tiers] spreads calls over near and far members, for locality; every other policy has one tier.
package policy

import "github.com/holdfast-go/holdfast/selector/internal/health"

// Member is a server that calls may go to.
type Member struct {
	Load   *health.Load
	Hash   uint64  // of its key
	Weight float32 // 1 is the mean of all members
	Tier   int     // how near, 0 first
}
