package session

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

func TestRealZooKeeperTellsWhatWasMissedDuringACut(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	proxy, err := zktest.NewProxy(e.Servers()[0])
	must(t, err)
	defer proxy.Close()
	s, other := real(t, e, Config{Servers: []string{proxy.Addr()}, SessionTimeout: 20 * time.Second})
	names := populate(t, other, 5000) // 5,000 paths are three requests to set their watches again
	sub := s.Subscribe("/app")
	defer sub.Close()
	mirrored(t, s)
	sub.Take()
	must(t, proxy.Refuse(true))
	proxy.Drop()
	eventually(t, "the cut noticed", func() bool { return !s.State().Connected })
	want := make(map[string]Change)
	var ops []Op
	for i := 0; i < len(names); i += 50 {
		ops = append(ops, Set{Path: "/app/" + names[i], Version: -1})
		want[names[i]] = Changed
	}
	write(t, other, ops...)
	write(t, other, Create{Path: "/app/new", ACL: everybody})
	must(t, proxy.Refuse(false))
	eventually(t, "connected again", func() bool { return s.State().Connected })
	if _, err := s.Stat(t.Context(), "/app"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Hints{List: true, Names: true, Children: want}, sub.Take(), cmpopts.IgnoreFields(Hints{}, "Since")); diff != "" {
		t.Errorf("before the first answer: hints (-want +got):\n%s", diff)
	}
	if st := s.State(); st.Session != 1 || st.Link != 2 {
		t.Errorf("%+v", st)
	}
	watchesOfReal(t, e, s, 5000-100)
}

// Hazard Z2, with a real kernel's resets: the session has watches and credentials, which it sends before it is turned away.
func TestRealZooKeeperThatWasWipedIsBelievedAfterASessionTimeout(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " servers"), func(t *testing.T) {
			e := zktest.StartEnsemble(t, n)
			log := &journal{}
			s, other := real(t, e, Config{SessionTimeout: 3 * time.Second, Auth: credentials, Logger: slog.New(log)})
			populate(t, other, 200)
			mirrored(t, s)
			must(t, e.Wipe())
			begin := time.Now()
			eventually(t, "connected to the new ensemble", func() bool { return s.State().Connected })
			if took, limit := time.Since(begin), 3*time.Second+MaxBackoff; took > limit {
				t.Errorf("%v after it served, want %v at most", took, limit)
			}
			if st := s.State(); st.Session != 2 {
				t.Errorf("%+v", st)
			}
			if _, err := s.List(t.Context(), "/app"); !errors.Is(err, ErrNoNode) {
				t.Error(err)
			}
			if got := log.seen("session given up"); len(got) != 1 {
				t.Errorf("%v", log.seen())
			}
		})
	}
}

// A minority of an ensemble hangs up on everybody; the sessions live on.
func TestRealSessionOutlivesTheLossOfTheQuorum(t *testing.T) {
	e := zktest.StartEnsemble(t, 3)
	// The session must be longer than the longest pause: a new leader waits for so long.
	s, other := real(t, e, Config{SessionTimeout: 8 * time.Second})
	populate(t, other, 10)
	mirrored(t, s)
	id := s.State().ID
	leader, err := e.Leader()
	must(t, err)
	must(t, e.Kill(leader))
	must(t, e.Kill((leader+1)%3))
	eventually(t, "turned away for longer than a session lives", func() bool {
		st := s.State()
		return !st.Connected && time.Since(st.Since) > st.Timeout+2*MaxBackoff
	})
	must(t, e.StartAll())
	eventually(t, "connected", func() bool { return s.State().Connected })
	if st := s.State(); st.Session != 1 || st.ID != id {
		t.Fatalf("%+v", st)
	}
	sub := s.Subscribe("/app")
	defer sub.Close()
	write(t, other, Create{Path: "/app/new", ACL: everybody})
	eventually(t, "told", func() bool { return sub.Take().List })
}

func TestRealServerThatDiesIsReplacedByAnotherWithinTheSession(t *testing.T) {
	e := zktest.StartEnsemble(t, 3)
	s, other := real(t, e, Config{SessionTimeout: 10 * time.Second})
	names := populate(t, other, 100)
	sub := s.Subscribe("/app")
	defer sub.Close()
	for range 3 {
		mirrored(t, s)
		sub.Take()
		was := s.State()
		i := slices.Index(e.Servers(), was.Server)
		if i < 0 {
			t.Fatalf("connected to %s, which is none of %v", was.Server, e.Servers())
		}
		must(t, e.Kill(i))
		eventually(t, "connected to another", func() bool { st := s.State(); return st.Connected && st.Link > was.Link })
		if st := s.State(); st.Session != 1 || st.Server == was.Server {
			t.Errorf("%+v", st)
		}
		write(t, other, Set{Path: "/app/" + names[0], Version: -1})
		eventually(t, "told", func() bool { return sub.Take().Children[names[0]] == Changed })
		must(t, e.Restart(i))
	}
}

func TestRealSessionThatExpiredIsReplaced(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	proxy, err := zktest.NewProxy(e.Servers()[0])
	must(t, err)
	defer proxy.Close()
	s, other := real(t, e, Config{Servers: []string{proxy.Addr()}, SessionTimeout: time.Second})
	populate(t, other, 10)
	mirrored(t, s)
	proxy.Cut(true)
	eventually(t, "the cut noticed", func() bool { return !s.State().Connected })
	time.Sleep(2 * s.State().Timeout) // the server's clock, not ours
	proxy.Cut(false)
	begin := time.Now()
	eventually(t, "connected", func() bool { return s.State().Connected })
	if st := s.State(); st.Session != 2 || time.Since(begin) > st.Timeout+MaxBackoff || s.Outstanding() != 0 {
		t.Errorf("after %v: %+v, %d watches", time.Since(begin), st, s.Outstanding())
	}
}

func TestRealServerThatIsPausedIsLeftWithinTheSessionTimeout(t *testing.T) {
	e := zktest.StartEnsemble(t, 1)
	s, _ := real(t, e, Config{SessionTimeout: 2 * time.Second})
	must(t, e.Pause(0))
	begin := time.Now()
	_, err := s.List(t.Context(), "/")
	if took := time.Since(begin); !errors.Is(err, ErrLost) || took > 3*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	must(t, e.Resume(0))
	eventually(t, "connected", func() bool { return s.State().Connected })
}

// A follower may be behind what the leader has confirmed to somebody else, but not behind a sync that was sent ahead of the list in the same write.
func TestRealSyncedListKnowsWhatWasWrittenBefore(t *testing.T) {
	e := zktest.StartEnsemble(t, 3)
	servers := e.Servers()
	_, writer := real(t, e, Config{})
	write(t, writer, Create{Path: "/app", ACL: everybody})
	var readers []*Session
	for _, addr := range servers { // the leader among them
		s := Open(Config{Servers: []string{addr}})
		t.Cleanup(s.Close)
		eventually(t, "connected to "+addr, func() bool { return s.State().Connected })
		readers = append(readers, s)
	}
	const rounds = 300
	behind := 0
	for i := range rounds {
		write(t, writer, Create{Path: fmt.Sprint("/app/", i), ACL: everybody})
		for _, s := range readers {
			plain, err := s.List(t.Context(), "/app")
			must(t, err)
			synced, err := s.SyncedList(t.Context(), "/app")
			must(t, err)
			if len(plain.Names) <= i {
				behind++
			}
			if len(synced.Names) != i+1 {
				t.Fatalf("round %d: %d names behind a sync, %d without", i, len(synced.Names), len(plain.Names))
			}
		}
	}
	t.Logf("%d of %d lists without a sync were behind", behind, rounds*len(readers))
}
