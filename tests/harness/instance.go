package harness

import (
	"fmt"

	"github.com/smallnest/rpcx/client"
)

// Instance is the i-th instance's key. Nobody listens there.
func Instance(i int) string { return fmt.Sprintf("tcp@127.1.%d.%d:8972", i/250, i%250+1) }

// Between are the numbers from from to to-1.
func Between(from, to int) (numbers []int) {
	for i := from; i < to; i++ {
		numbers = append(numbers, i)
	}
	return numbers
}

// Listed is a list as a map from key to metadata. A key that is in the list twice shows.
func Listed(pairs []*client.KVPair) map[string]string {
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		if _, twice := m[p.Key]; twice {
			m[p.Key+" (twice)"] = p.Value
		}
		m[p.Key] = p.Value
	}
	return m
}

// Without is a filter that leaves out one instance.
func Without(key string) client.ServiceDiscoveryFilter {
	return func(p *client.KVPair) bool { return p.Key != key }
}
