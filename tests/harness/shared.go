package harness

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/smallnest/rpcx/log"
	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// Tests are a package's tests, for goleak.VerifyTestMain. When they are over, the real ZooKeepers that they have shared are ended, and then the
// leaks are counted.
func Tests(m *testing.M) goleak.TestingM { return tests{m} }

type tests struct{ *testing.M }

func (t tests) Run() int {
	log.SetDummyLogger() // rpcx's, which tells of every connection that ends; here, because nothing may log meanwhile
	code := t.M.Run()
	return max(code, single.close(), triple.close())
}

// The real ZooKeepers that tests share, because one takes seconds to start.
var (
	single = &sharedEnsemble{size: 1}
	triple = &sharedEnsemble{size: 3}
)

// sharedEnsemble is started by the first test that wants it, and ended with the last.
type sharedEnsemble struct {
	size int

	mu       sync.Mutex
	ensemble *zktest.Ensemble
	ends     []func()
	failed   bool
}

// get returns the ensemble with all its servers running; without ZooKeeper it skips the test, or fails it where one is required.
func (s *sharedEnsemble) get(t *testing.T) *zktest.Ensemble {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ensemble == nil {
		s.ensemble = zktest.StartEnsemble(outliving{t, s}, s.size)
	}
	Must(t, s.ensemble.StartAll())
	return s.ensemble
}

func (s *sharedEnsemble) close() (code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, end := range slices.Backward(s.ends) {
		end()
	}
	if s.failed {
		return 1
	}
	return 0
}

// outliving is a test for something that lives until the last test is over.
type outliving struct {
	testing.TB
	s *sharedEnsemble
}

func (o outliving) Cleanup(f func()) { o.s.ends = append(o.s.ends, f) }

func (o outliving) ArtifactDir() string {
	dir, err := os.MkdirTemp("", "holdfast-test-")
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Error is called by what ends after the test is over.
func (o outliving) Error(args ...any) {
	o.s.failed = true
	fmt.Fprintln(os.Stderr, args...)
}
