package mirror

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/belief"
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
	m := New(true)
	m.Connection(session.State{Connected: true, Session: 1, Link: 1}, time.Now())
	names := []string{"no instance 0"}
	for round := range rounds {
		names = append(names, fmt.Sprintf("tcp@127.0.0.%d:1", round))
		names[0] = fmt.Sprint("no instance ", round)
		m.Hinted(session.Hints{List: true}, time.Now())
		j, _ := m.Todo(time.Now())
		m.Listed(j, onePiece(size, names...))
		j, _ = m.Todo(time.Now())
		var nodes []session.Node
		for _, name := range j.Names {
			nodes = append(nodes, session.Node{Name: name})
		}
		m.Read(j, nodes, false)
	}
	if len(m.whole.Pairs) != rounds || !strings.HasSuffix(m.pass.odd, fmt.Sprint(rounds-1)) {
		t.Fatalf("%d instances, and %q", len(m.whole.Pairs), m.pass.odd)
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
// belief's.
func BenchmarkListed(b *testing.B) {
	const n = 5_000
	names := make([]string, n+1)
	for i := range names {
		names[i] = fmt.Sprintf("tcp@127.1.%d.%d:8972", i/250, i%250)
	}
	m := New(true)
	m.Connection(session.State{Connected: true, Session: 1, Link: 1}, time.Now())
	pass := func(l session.Listing) {
		m.Hinted(session.Hints{List: true}, time.Now())
		j, _ := m.Todo(time.Now())
		m.Listed(j, l)
		if j, _ = m.Todo(time.Now()); j.Kind == Read {
			var nodes []session.Node
			for _, name := range j.Names {
				nodes = append(nodes, session.Node{Name: name, Data: []byte("weight=1")})
			}
			m.Read(j, nodes, false)
		}
	}
	be := belief.New(belief.Config{})
	now := time.Now()
	believe := func() {
		be.Listed(belief.Listing{Pairs: m.whole.Pairs, Lineage: "a", Synced: true, Edits: m.whole.Edits, AsOf: now}, now)
	}
	pass(onePiece(0, names[:n]...))
	be.Live(1, 0, now)
	believe()
	lists := [...]session.Listing{onePiece(0, names...), onePiece(0, slices.Delete(slices.Clone(names), n/2, n/2+1)...)}
	for part, f := range map[string]func(i int){
		"mirror": func(i int) { pass(lists[i%2]) },
		"both":   func(i int) { pass(lists[i%2]); now = now.Add(time.Minute); believe() },
	} {
		b.Run(part, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f(i)
			}
		})
	}
}
