package zkdiscovery

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/guard"
	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// onePiece is a listing as it arrives: its names are parts of one string, which has so many bytes more.
func onePiece(more int, names ...string) session.Listing {
	all := strings.Join(names, "") + strings.Repeat("-", more)
	l := session.Listing{Stat: session.Stat{Czxid: 1}}
	for _, name := range names {
		l.Names = append(l.Names, all[:len(name)])
		all = all[len(name):]
	}
	return l
}

// One name that is kept would keep the list that it came with: a fleet that grows one by one would be kept as often as it has instances.
func TestNoListIsKeptInMemoryByWhatWasLearntFromIt(t *testing.T) {
	const size, rounds = 4 << 20, 16
	m := newMirror(true)
	m.connection(session.State{Connected: true, Session: 1, Link: 1}, time.Now())
	names := []string{"no instance 0"}
	for round := range rounds {
		names = append(names, fmt.Sprintf("tcp@127.0.0.%d:1", round))
		names[0] = fmt.Sprint("no instance ", round)
		m.hinted(session.Hints{List: true}, time.Now())
		j, _ := m.todo(time.Now())
		m.listed(j, onePiece(size, names...))
		j, _ = m.todo(time.Now())
		var nodes []session.Node
		for _, name := range j.names {
			nodes = append(nodes, session.Node{Name: name})
		}
		m.read(j, nodes)
	}
	if len(m.whole.pairs) != rounds || !strings.HasSuffix(m.odd, fmt.Sprint(rounds-1)) {
		t.Fatalf("%d instances, and %q", len(m.whole.pairs), m.odd)
	}
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	if mem.HeapAlloc > rounds/2*size {
		t.Errorf("%d MiB in use after %d lists of %d MiB", mem.HeapAlloc>>20, rounds, size>>20)
	}
	runtime.KeepAlive(m)
}

// BenchmarkListed is what the loop does about a list of 5,000 of which one is new, and about the one that was read: the mirror's part, and the
// guard's.
func BenchmarkListed(b *testing.B) {
	const n = 5_000
	names := make([]string, n+1)
	for i := range names {
		names[i] = fmt.Sprintf("tcp@127.1.%d.%d:8972", i/250, i%250)
	}
	m := newMirror(true)
	m.connection(session.State{Connected: true, Session: 1, Link: 1}, time.Now())
	pass := func(l session.Listing) {
		m.hinted(session.Hints{List: true}, time.Now())
		j, _ := m.todo(time.Now())
		m.listed(j, l)
		if j, _ = m.todo(time.Now()); j.kind == jobRead {
			var nodes []session.Node
			for _, name := range j.names {
				nodes = append(nodes, session.Node{Name: name, Data: []byte("weight=1")})
			}
			m.read(j, nodes)
		}
	}
	g := guard.New(guard.Config{})
	now := time.Now()
	pass(onePiece(0, names[:n]...))
	g.Listed(m.whole.pairs, "a", now)
	lists := [...]session.Listing{onePiece(0, names...), onePiece(0, slices.Delete(slices.Clone(names), n/2, n/2+1)...)}
	for part, f := range map[string]func(i int){
		"mirror": func(i int) { pass(lists[i%2]) },
		"both":   func(i int) { pass(lists[i%2]); now = now.Add(time.Minute); g.Listed(m.whole.pairs, "a", now) },
	} {
		b.Run(part, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f(i)
			}
		})
	}
}
