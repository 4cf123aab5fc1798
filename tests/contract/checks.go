package contract

import (
	"fmt"
	"maps"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallnest/rpcx/client"
)

// Checks are all that Run runs.
func Checks() []Check {
	return []Check{
		{"GetServicesReturnsASliceOfTheCallersOwn", "XClient sorts it in place", ownSlices},
		{"EveryWatcherReceivesASliceOfItsOwn", "each XClient sorts it in place", ownSlicesForWatchers},
		{"PairsNeverChange", "XClient keeps them", pairsStay},
		{"AWatcherHasTheCurrentListAtOnce", "XClient reads the list first and watches then: a change in between would be lost for ever", currentAtOnce},
		{"ChangesArrive", "it is what a discovery is for", changesArrive},
		{"MetadataArrives", "state=inactive and weight are metadata", metadataArrives},
		{"TheEmptyListArrives", "a service may really be gone", emptyArrives},
		{"BurstsEndComplete", "a pod that dials what is gone, for days", burstsEndComplete},
		{"ListsAreInOrder", "an older list after a newer one dials what is gone", inOrder},
		{"ASlowWatcherDelaysNobody", "XClient reads under a lock that it holds while it dials", slowWatcher},
		{"ASlowWatcherHasTheNewestInTheEnd", "what it reads then is all that it will know", slowWatcherCatchesUp},
		{"NothingIsSentAfterRemoveWatcher", "XClient closes the channel: a send panics", nothingAfterRemove},
		{"RemoveWatcherTakesWhatItDoesNotKnow", "XClient removes a nil channel when there was none", removeUnknown},
		{"NothingIsSentWhenNothingHasChanged", "each list builds the selector anew: round robin begins again", noNews},
		{"FiltersWorkAtOnce", "a filter takes an instance out that must not be called", filtersWork},
		{"ClonesInheritTheFilter", "OneClient makes clones", clonesInherit},
		{"ClonesListTheirOwnService", "OneClient asks for many services", clonesListTheirs},
		{"ClosingACloneLeavesTheOthersAlone", "clones of one connection are siblings", closingClones},
		{"CloneNeverFails", "OneClient panics over the nil that it keeps", cloneNeverFails},
		{"CloseLeavesWatchersChannelsOpen", "XClient closes them: a second close panics", closeLeavesChannels},
		{"CloseMayBeCalledTwice", "two owners, one defer too many", closeTwice},
		{"AfterCloseNothingPanics", "an XClient outlives its discovery", afterClose},
		{"NothingIsLeftAfterClose", "a goroutine for each client that there ever was", nothingLeft},
		{"AllMethodsAtOnce", "the race detector tells", allAtOnce},
		{"XClientsShareIt", "the race detector tells", xClients},
	}
}

func key(i int) string { return "tcp@127.1.0." + strconv.Itoa(i) + ":8972" }

func list(n int, value string) map[string]string {
	m := make(map[string]string)
	for i := 1; i <= n; i++ {
		m[key(i)] = value
	}
	return m
}

func ownSlices(t *testing.T, s *subject) {
	s.has(list(3, "n=1"))
	a := s.Discovery.GetServices()
	clear(a)
	if b := s.Discovery.GetServices(); len(b) != 3 || b[0] == nil {
		t.Error("the caller's change is seen by the next")
	}
}

func ownSlicesForWatchers(t *testing.T, s *subject) {
	first, second := follow(s.Discovery, func(pairs []*client.KVPair) { clear(pairs) }), follow(s.Discovery, nil)
	defer first.stop()
	defer second.stop()
	for n := 1; n < 20; n++ {
		want := list(2, "n="+strconv.Itoa(n))
		s.Set("Arith", want)
		s.eventually("the second watcher has the list", func() bool {
			defer func() {
				if recover() != nil {
					t.Error("one watcher's change is seen by the other")
				}
			}()
			return second.heard(want) || t.Failed()
		})
	}
}

func pairsStay(t *testing.T, s *subject) {
	s.has(map[string]string{key(1): "n=1"})
	was := s.Discovery.GetServices()[0]
	s.has(map[string]string{key(1): "n=2", key(2): ""})
	if was.Key != key(1) || was.Value != "n=1" {
		t.Errorf("a pair that was handed out is %v now", *was)
	}
}

func currentAtOnce(t *testing.T, s *subject) {
	s.has(list(2, "n=1"))
	ch := s.Discovery.WatchService()
	defer s.Discovery.RemoveWatcher(ch)
	select {
	case pairs := <-ch:
		if len(pairs) != 2 {
			t.Errorf("%v", listed(pairs))
		}
	default:
		t.Error("nothing is in the channel when WatchService returns")
	}
}

func changesArrive(_ *testing.T, s *subject) {
	f := follow(s.Discovery, nil)
	defer f.stop()
	for n := 1; n < 5; n++ {
		want := list(n, "n=1")
		s.has(want)
		s.eventually("the watcher has the list", func() bool { return f.heard(want) })
	}
}

func metadataArrives(_ *testing.T, s *subject) {
	f := follow(s.Discovery, nil)
	defer f.stop()
	s.has(list(2, "n=1"))
	want := list(2, "state=inactive")
	s.has(want)
	s.eventually("the watcher has the metadata", func() bool { return f.heard(want) })
}

func emptyArrives(_ *testing.T, s *subject) {
	f := follow(s.Discovery, nil)
	defer f.stop()
	s.has(list(2, "n=1"))
	s.has(nil)
	s.eventually("the watcher has the empty list", func() bool { return f.heard(nil) })
}

func burstsEndComplete(_ *testing.T, s *subject) {
	f := follow(s.Discovery, nil)
	defer f.stop()
	for round := range 20 {
		var want map[string]string
		for n := 1; n <= 5; n++ {
			want = list(n, fmt.Sprint("n=", round))
			s.Set("Arith", want)
		}
		s.eventually("the burst is listed, whole", func() bool { return maps.Equal(listed(s.Discovery.GetServices()), want) && f.heard(want) })
	}
}

func inOrder(t *testing.T, s *subject) {
	last := -1
	f := follow(s.Discovery, func(pairs []*client.KVPair) {
		if len(pairs) == 0 {
			return
		}
		n, err := strconv.Atoi(strings.TrimPrefix(pairs[0].Value, "n="))
		if err != nil || n < last {
			t.Errorf("%q after n=%d", pairs[0].Value, last)
		}
		last = n
	})
	defer f.stop()
	var want map[string]string
	for n := range 200 {
		want = map[string]string{key(1): "n=" + strconv.Itoa(n)}
		s.Set("Arith", want)
	}
	s.eventually("the watcher has the newest", func() bool { return f.heard(want) })
}

func slowWatcher(_ *testing.T, s *subject) {
	ch := s.Discovery.WatchService() // nobody reads it
	defer s.Discovery.RemoveWatcher(ch)
	f := follow(s.Discovery, nil)
	defer f.stop()
	for n := 1; n < 30; n++ {
		want := list(1+n%3, "n="+strconv.Itoa(n))
		s.has(want)
		s.eventually("the other watcher has the list", func() bool { return f.heard(want) })
	}
}

func slowWatcherCatchesUp(_ *testing.T, s *subject) {
	ch := s.Discovery.WatchService()
	defer s.Discovery.RemoveWatcher(ch)
	var want map[string]string
	for n := 1; n < 30; n++ {
		want = list(1+n%3, "n="+strconv.Itoa(n))
		s.has(want)
	}
	var last map[string]string
	s.eventually("it reads the newest", func() bool {
		select {
		case pairs := <-ch:
			last = listed(pairs)
		default:
		}
		return maps.Equal(last, want)
	})
}

func nothingAfterRemove(_ *testing.T, s *subject) {
	stop := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				s.Set("Arith", list(1+n%3, "n="+strconv.Itoa(n)))
			}
		}
	})
	for range 300 {
		ch := s.Discovery.WatchService()
		s.Discovery.RemoveWatcher(ch)
		close(ch) // a send to it panics
	}
	close(stop)
	changing.Wait()
	s.has(list(2, "last"))
}

func removeUnknown(_ *testing.T, s *subject) {
	s.Discovery.RemoveWatcher(nil)
	s.Discovery.RemoveWatcher(make(chan []*client.KVPair))
	ch := s.Discovery.WatchService()
	s.Discovery.RemoveWatcher(ch)
	s.Discovery.RemoveWatcher(ch)
	s.has(list(1, "n=1"))
}

func noNews(t *testing.T, s *subject) {
	s.has(list(2, "n=1"))
	var lists []map[string]string
	f := follow(s.Discovery, func(pairs []*client.KVPair) { lists = append(lists, listed(pairs)) })
	s.Set("Arith", list(2, "n=1"))
	s.has(list(3, "n=1")) // what was sent before it has come by now
	s.eventually("the watcher has the list", func() bool { return f.heard(list(3, "n=1")) })
	f.stop()
	for i := range lists {
		if i > 0 && maps.Equal(lists[i-1], lists[i]) {
			t.Errorf("the same list twice: %v", lists)
		}
	}
}

func filtersWork(t *testing.T, s *subject) {
	s.has(list(3, "n=1"))
	f := follow(s.Discovery, nil)
	defer f.stop()
	s.Discovery.SetFilter(func(p *client.KVPair) bool { return p.Key != key(2) })
	want := map[string]string{key(1): "n=1", key(3): "n=1"}
	if got := listed(s.Discovery.GetServices()); !maps.Equal(got, want) {
		t.Errorf("after SetFilter the list is %v", got)
	}
	s.eventually("the watcher has the filtered list", func() bool { return f.heard(want) })
	s.Discovery.SetFilter(nil)
	s.eventually("without a filter all are listed", func() bool { return f.heard(list(3, "n=1")) })
}

func clonesInherit(t *testing.T, s *subject) {
	s.has(list(3, "n=1"))
	s.Discovery.SetFilter(func(p *client.KVPair) bool { return p.Key != key(2) })
	c := s.clone(t, "Arith")
	s.eventually("the clone lists through the filter", func() bool {
		got := listed(c.GetServices())
		_, leftOut := got[key(2)]
		return len(got) == 2 && !leftOut
	})
}

func (s *subject) clone(t *testing.T, service string) client.ServiceDiscovery {
	t.Helper()
	c, err := s.Discovery.Clone(service)
	if err != nil || c == nil {
		t.Fatalf("Clone(%q): %v, %v", service, c, err)
	}
	return c
}

func clonesListTheirs(t *testing.T, s *subject) {
	if s.OneService {
		t.Skip("it has one service")
	}
	s.has(list(3, "n=1"))
	s.Set("Other", list(1, "other=1"))
	c := s.clone(t, "Other")
	s.eventually("the clone lists its own service", func() bool { return maps.Equal(listed(c.GetServices()), list(1, "other=1")) })
	if got := listed(s.Discovery.GetServices()); !maps.Equal(got, list(3, "n=1")) {
		t.Errorf("the first one lists %v now", got)
	}
}

func closingClones(t *testing.T, s *subject) {
	s.has(list(1, "n=1"))
	a, b := s.clone(t, "Arith"), s.clone(t, "Arith")
	f := follow(b, nil)
	defer f.stop()
	a.Close()
	want := list(2, "n=2")
	s.has(want)
	s.eventually("the other clone goes on", func() bool { return maps.Equal(listed(b.GetServices()), want) && f.heard(want) })
}

func cloneNeverFails(t *testing.T, s *subject) {
	s.has(list(1, "n=1"))
	for _, service := range []string{"nobody-has-registered-it", "_filetransfer", "_streamservice"} {
		c := s.clone(t, service)
		c.GetServices()
	}
	s.has(list(2, "n=2")) // and the others go on
}

func closeLeavesChannels(t *testing.T, s *subject) {
	s.has(list(1, "n=1"))
	ch := s.Discovery.WatchService()
	s.Discovery.Close()
	for {
		select {
		case _, open := <-ch:
			if !open {
				t.Error("Close has closed a watcher's channel")
				return
			}
			continue
		case <-time.After(50 * time.Millisecond): // for one that is closed behind Close's back
		}
		break
	}
	s.Discovery.RemoveWatcher(ch)
	close(ch)
}

func closeTwice(_ *testing.T, s *subject) {
	s.has(list(1, "n=1"))
	var closing sync.WaitGroup
	for range 3 {
		closing.Go(s.Discovery.Close)
	}
	closing.Wait()
	s.Discovery.Close()
}

func afterClose(_ *testing.T, s *subject) {
	s.has(list(1, "n=1"))
	before := s.Discovery.WatchService()
	s.Discovery.Close()
	s.Discovery.RemoveWatcher(before)
	s.Discovery.GetServices()
	s.Discovery.SetFilter(nil)
	ch := s.Discovery.WatchService()
	s.Discovery.RemoveWatcher(ch)
	if c, err := s.Discovery.Clone("Arith"); err == nil {
		c.GetServices()
		c.Close()
	}
}

func nothingLeft(t *testing.T, s *subject) {
	s.has(list(1, "n=1"))
	var followers []*follower
	for range 10 {
		followers = append(followers, follow(s.Discovery, nil))
	}
	s.has(list(2, "n=2"))
	for _, f := range followers {
		f.stop()
	}
	s.Discovery.Close()
	frames := func() (n int) { // of rpcx's client and what is being tested, not of the registry
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		for g := range strings.SplitSeq(string(buf), "\n\n") {
			if strings.Contains(g, "iscovery") && !strings.Contains(g, "tests/contract.") && !strings.Contains(g, "testing.tRunner") && !strings.Contains(g, "zktest") {
				n++
			}
		}
		return n
	}
	s.eventually("its goroutines have ended", func() bool { return frames() == 0 })
	_ = t
}

func allAtOnce(_ *testing.T, s *subject) {
	s.has(list(1, "n=1"))
	var at sync.WaitGroup
	for i := range 4 {
		at.Go(func() {
			for n := range 30 {
				ch := s.Discovery.WatchService()
				for range s.Discovery.GetServices() {
					break
				}
				s.Discovery.SetFilter(func(p *client.KVPair) bool { return p.Key != key(i) })
				s.Discovery.RemoveWatcher(ch)
				if n%10 == 0 {
					if c, err := s.Discovery.Clone("Arith"); err == nil {
						c.GetServices()
						c.Close()
					}
				}
			}
		})
	}
	for n := range 30 {
		s.Set("Arith", list(1+n%4, "n="+strconv.Itoa(n)))
	}
	at.Wait()
	s.Discovery.SetFilter(nil)
	s.has(list(4, "last"))
}

func xClients(t *testing.T, s *subject) {
	s.has(list(3, "n=1"))
	var clients []client.XClient
	for range 3 {
		clients = append(clients, client.NewXClient("Arith", client.Failtry, client.RoundRobin, s.Discovery, client.DefaultOption))
	}
	for n := range 20 {
		s.has(list(1+n%3, "n="+strconv.Itoa(n)))
	}
	for _, x := range clients {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	s.has(list(2, "last"))
}
