package mirror

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/internal/session"
)

// BenchmarkOneChangeAmong5000 is what the mirror does about one instance whose metadata has changed, over a connection that has lasting watches.
func BenchmarkOneChangeAmong5000(b *testing.B) {
	names := make([]string, 5_000)
	for i := range names {
		names[i] = fmt.Sprintf("tcp@127.1.%d.%d:8972", i/250, i%250)
	}
	m, now := New(true), time.Now()
	m.Connection(session.State{Connected: true, Session: 1, Link: 1, Extension: session.Extension{Lasting: true}}, now)
	j, _ := m.Todo(now)
	m.Listed(j, onePiece(0, names...))
	path := session.Node{Stat: session.Stat{Czxid: 1}}
	read := func(value string) {
		j, _ := m.Todo(now)
		var nodes []session.Node
		for _, name := range j.Names {
			nodes = append(nodes, session.Node{Name: name, Data: []byte(value)})
		}
		if j.Path {
			nodes = append(nodes, path)
		}
		m.Read(j, nodes, false)
	}
	read("weight=0")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.Hinted(session.Hints{Children: map[string]session.Change{names[i%len(names)]: session.Changed}}, now)
		read("weight=" + strconv.Itoa(i+1))
		if !m.AtRest() || !m.TakeNews().Changed {
			b.Fatal("the change is not shown")
		}
	}
}
