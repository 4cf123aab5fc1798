package interop

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
	theirs "github.com/rpcxio/rpcx-zookeeper/serverplugin"
	"github.com/smallnest/rpcx/log"
)

func TestMain(m *testing.M) {
	log.SetLogger(&theirLog) // here, because nothing may log meanwhile
	os.Exit(m.Run())
}

// recorder is rpcx's logger, and so rpcx-zookeeper's. It keeps warnings and errors.
type recorder struct {
	log.Logger // nil: what is not below is not called
	mu         sync.Mutex
	lines      []string
}

var theirLog recorder

func (r *recorder) add(text string) {
	r.mu.Lock()
	r.lines = append(r.lines, text)
	r.mu.Unlock()
}

func (r *recorder) has(start, also string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.lines, func(line string) bool { return strings.HasPrefix(line, start) && strings.Contains(line, also) })
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

func (r *recorder) Debug(...any)              {}
func (r *recorder) Debugf(string, ...any)     {}
func (r *recorder) Info(...any)               {}
func (r *recorder) Infof(string, ...any)      {}
func (r *recorder) Warn(v ...any)             { r.add(fmt.Sprint(v...)) }
func (r *recorder) Warnf(f string, v ...any)  { r.add(fmt.Sprintf(f, v...)) }
func (r *recorder) Error(v ...any)            { r.add(fmt.Sprint(v...)) }
func (r *recorder) Errorf(f string, v ...any) { r.add(fmt.Sprintf(f, v...)) }

// theirLines make rpcx-zookeeper write its lines. What a line must have beside its words is returned, if that tells it from others of its kind.
var theirLines = map[string]func(t *testing.T) (also string){
	"chan is closed and will rewatch": func(t *testing.T) string {
		zk := zktest.Start(t)
		put(t, zk, "Arith/"+first)
		theirClient(t, zk, "Arith")
		soon(t, "it watches", func() bool { return zk.Stats().Watches > 0 })
		zk.ExpireAll()
		return ""
	},
	"can not watchtree (with retry": func(t *testing.T) string {
		zk := zktest.Start(t)
		put(t, zk, "Lost/"+first)
		theirClient(t, zk, "Lost")
		soon(t, "it watches", func() bool { return zk.Stats().Watches > 0 })
		for _, path := range []string{"/base/Lost/" + first, "/base/Lost"} {
			if err := zk.Delete(path); err != nil {
				t.Fatal(err)
			}
		}
		return "base/Lost"
	},
	"chan is full and new change has been dropped": func(t *testing.T) string { // after a minute
		zk := zktest.Start(t)
		put(t, zk, "Arith/"+first)
		d := theirClient(t, zk, "Arith")
		d.WatchService() // which nobody reads
		for n := 2; n < 14; n++ {
			watched(t, zk, 1)
			put(t, zk, fmt.Sprintf("Arith/tcp@127.0.0.1:%d", n))
			soon(t, "it has noticed", func() bool { return len(d.GetServices()) == n })
		}
		return ""
	},
	"cannot create zk path %s: %v": func(t *testing.T) string {
		zk := zktest.Start(t)
		put(t, zk, "Arith")
		if err := zk.SetACL("/base", []zktest.ACL{{Perms: 31, Scheme: "digest", ID: "somebody:else"}}); err != nil {
			t.Fatal(err)
		}
		p := theirs.NewZooKeeperRegisterPlugin(theirs.WithZKServiceAddress(first), theirs.WithZKServersAddress([]string{zk.Addr()}), theirs.WithZKBasePath("/base"))
		if err := p.Start(); err == nil {
			t.Error("it may write")
		}
		return "not authenticated"
	},
}

func TestEveryLineOfTheirsInTheFAQIsProvoked(t *testing.T) {
	t.Parallel() // one line takes a minute: other tests run meanwhile
	text, err := os.ReadFile("../../../docs/faq.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Lines of rpcx-zookeeper's\n")
	section, _, _ = strings.Cut(section, "\n## ")
	found := 0
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		found++
		provoke, ok := theirLines[m[1]]
		if !ok {
			t.Errorf("nobody provokes %q", m[1])
			continue
		}
		t.Run(m[1], func(t *testing.T) {
			t.Parallel()
			also := provoke(t)
			words, _, _ := strings.Cut(m[1], "%s")
			for deadline := time.Now().Add(3 * time.Minute); !theirLog.has(words, also); time.Sleep(100 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("theirs has not written %q, but\n%s", words, theirLog.String())
				}
			}
		})
	}
	if found != len(theirLines) {
		t.Errorf("%d lines on the page, %d here", found, len(theirLines))
	}
}
