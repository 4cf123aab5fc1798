package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// echo is a server on which every node has its path as data. It counts the reads that it has answered.
type echo struct{ answered atomic.Int64 }

func (e *echo) serve(c net.Conn) {
	in, out := bufio.NewReaderSize(c, 64<<10), bufio.NewWriterSize(c, 64<<10)
	for answer := welcome(60_000, 5); ; {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		head, err := in.Peek(4)
		if err != nil {
			return
		}
		frame := make([]byte, 4+be.Uint32(head))
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		if answer == nil {
			xid, op, body := i32(frame[4:]), i32(frame[8:]), frame[12:]
			switch op {
			case opGetData:
				e.answered.Add(1)
				answer = reply(xid, 0, string(data(string(body[4:4+be.Uint32(body)]))))
			default: // pings and the end
				answer = reply(xid, 0, "")
			}
		}
		_, _ = out.Write(answer) // Flush says it
		answer = nil
	}
}

// A hundred thousand reads of the library's own and some thousands of go-zookeeper's, from many goroutines at once, on one connection. Some of them are given
// up while they wait or are under way.
func TestAHundredThousandRequestsAreAnsweredWithoutAMixUp(t *testing.T) {
	const readers, each, round = 40, 2500, 125
	server := new(echo)
	s := Open(Config{Servers: []string{"zk:2181"}, Dial: piped(server.serve)})
	defer s.Close()
	eventually(t, "connected", func() bool { return s.State().Connected })
	s.mu.Lock()
	theirs := s.line.conn
	s.mu.Unlock()

	var wg sync.WaitGroup
	var answered, givenUp atomic.Int64
	for r := range readers {
		wg.Go(func() {
			for begin := 0; begin < each; begin += round {
				names := make([]string, round)
				for i := range names {
					names[i] = fmt.Sprint(r, "-", begin+i)
				}
				ctx, cancel := context.WithCancel(t.Context())
				if begin/round%5 == 4 { // one that others wait behind
					wg.Go(func() {
						nodes, err := s.Read(ctx, "/given-up", names, false)
						if err != nil && !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
						givenUp.Add(int64(round - len(nodes)))
						rightNodes(t, "/given-up", names[:len(nodes)], nodes)
					})
				}
				nodes, err := s.Read(t.Context(), "/app", names, false)
				cancel()
				if err != nil {
					t.Error(err)
				}
				answered.Add(int64(len(nodes)))
				rightNodes(t, "/app", names, nodes)
			}
		})
	}
	for r := range 4 {
		wg.Go(func() {
			for i := range 500 {
				path := fmt.Sprint("/theirs/", r, "-", i)
				if data, _, err := theirs.Get(path); err != nil || string(data) != path {
					t.Errorf("%s: %q, %v", path, data, err)
				}
			}
		})
	}
	wg.Wait()
	if st := s.State(); st.Link != 1 || !st.Connected || answered.Load() != readers*each {
		t.Errorf("%d reads answered, %+v", answered.Load(), st)
	}
	t.Logf("%d reads answered, %d given up, %d answers", answered.Load(), givenUp.Load(), server.answered.Load())
	if givenUp.Load() == 0 || server.answered.Load() <= readers*each+2000 {
		t.Error("no read was given up while it was under way")
	}
}

// rightNodes fails the test unless nodes are those of echo.
func rightNodes(t *testing.T, parent string, names []string, nodes []Node) {
	t.Helper()
	if len(nodes) != len(names) {
		t.Errorf("%d of %d nodes", len(nodes), len(names))
		return
	}
	for i, n := range nodes {
		if n.Name != names[i] || string(n.Data) != parent+"/"+names[i] {
			t.Errorf("%s has the data of %q", names[i], n.Data)
			return
		}
	}
}
