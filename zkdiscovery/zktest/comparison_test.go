package zktest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// side is one of the two servers as a comparison sees it.
type side struct {
	printer
	name    string
	addr    string
	clients []*wire
}

// comparison is one run: a seed, and nodes below a root of its own.
type comparison struct {
	t       *testing.T
	like    Version
	seed    uint64
	rnd     *rand.Rand
	root    string
	sides   [2]*side
	paths   []string
	history []string
	sorted  bool // compare what is shown without its order
}

// comparedClients is how many there are; each has a connection to either server.
const comparedClients = 3

func newComparison(t *testing.T, like Version, seed uint64, addrs ...string) *comparison {
	t.Helper()
	c := &comparison{
		t: t, like: like, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)),
		root: fmt.Sprintf("/run-%d", seed),
	}
	for _, p := range []string{"", "/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/z"} {
		c.paths = append(c.paths, c.root+p)
	}
	for i, addr := range addrs {
		sd := &side{name: []string{"real", "ours"}[i], addr: addr}
		sd.owners, sd.started = make(map[int64]int), time.Now()
		c.sides[i] = sd
	}
	for i := range comparedClients {
		for _, sd := range c.sides {
			sd.clients = append(sd.clients, nil)
			c.open(sd, i)
		}
	}
	for _, sd := range c.sides {
		sd.clients[0].must(t, &request{kind: OpCreate, path: c.root, acl: openACL()})
		d := decoder{b: sd.clients[0].must(t, exists(c.root)).body}
		sd.base = d.stat().Czxid
	}
	return c
}

func (c *comparison) open(sd *side, i int) {
	c.t.Helper()
	w := openWire(c.t, sd.addr)
	sd.owners[w.session] = len(sd.owners)
	sd.clients[i] = w
}

// fail prints what has led here.
func (c *comparison) fail(format string, args ...any) {
	c.t.Helper()
	last := c.history[max(0, len(c.history)-25):]
	c.t.Fatalf("seed %d, step %d: %s\nlast steps:\n%s", c.seed, len(c.history), fmt.Sprintf(format, args...), strings.Join(last, "\n"))
}

// same compares what the two servers have shown in a step.
func (c *comparison) same(shown [2][]string) {
	c.t.Helper()
	if c.sorted {
		slices.Sort(shown[0])
		slices.Sort(shown[1])
	}
	if diff := cmp.Diff(shown[0], shown[1]); diff != "" {
		c.fail("real (-) and ours (+) differ\n%s\nreal\n\t%s\nours\n\t%s", diff, strings.Join(shown[0], "\n\t"), strings.Join(shown[1], "\n\t"))
	}
	c.history = append(c.history, "\t"+strings.Join(shown[0], "\n\t"))
}

// ask sends one request to both and compares everything up to the replies.
func (c *comparison) ask(client int, kind Op, body func(*side) []byte, what string) (replies [2]answer) {
	c.t.Helper()
	c.history = append(c.history, fmt.Sprintf("%d: client %d %v %s", len(c.history), client, kind, what))
	var shown [2][]string
	for i, sd := range c.sides {
		list, err := sd.clients[client].call(kind, body(sd))
		for _, a := range list {
			shown[i] = append(shown[i], sd.answer(kind, a))
		}
		if err != nil {
			shown[i] = append(shown[i], "connection ended")
		} else {
			replies[i] = list[len(list)-1]
		}
	}
	c.same(shown)
	return replies
}

func (c *comparison) send(client int, r *request) [2]answer {
	c.t.Helper()
	body := r.encode()
	return c.ask(client, r.kind, func(*side) []byte { return body }, r.String())
}

// end lets every client show what it has not been shown yet.
func (c *comparison) end() {
	c.t.Helper()
	for i := range comparedClients {
		c.send(i, &request{kind: OpGetChildren2, path: c.root})
	}
	for i := range comparedClients {
		c.close(i)
	}
	for _, sd := range c.sides {
		for _, w := range sd.clients {
			_ = w.nc.Close()
		}
	}
}

// step lets one client do one thing.
func (c *comparison) step() {
	c.t.Helper()
	client := c.rnd.IntN(comparedClients)
	switch c.rnd.IntN(60) {
	case 0, 1:
		c.authenticate(client)
	case 2:
		c.ping(client)
	case 3:
		c.close(client)
		c.reopen(client, true)
	case 4:
		c.reconnect(client)
	case 5:
		c.damaged(client)
	case 6, 7, 8:
		c.pipeline(client)
	case 9, 10, 11, 12:
		c.setWatches(client, c.known(OpSetWatches, OpSetWatches2))
	default:
		r := c.request()
		reply := c.send(client, &r)[0]
		c.learn(&r, reply)
	}
}

// learn makes the paths that come of sequences known to all.
func (c *comparison) learn(r *request, reply answer) {
	if reply.code != CodeOK || r.kind != OpCreate && r.kind != OpCreate2 {
		return
	}
	d := decoder{b: reply.body}
	if p := d.path(); !slices.Contains(c.paths, p) && (len(c.paths) < 12 || strings.HasSuffix(p, "0")) {
		c.paths = append(c.paths, p)
	}
}
