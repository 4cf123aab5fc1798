package zktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// errEnsembleClosed is what an Ensemble's methods return after Close.
var errEnsembleClosed = errors.New("zktest: the ensemble is closed")

// Ensemble is one real ZooKeeper server, or three that replicate each other, as child processes on 127.0.0.1. All methods may be
// called at once from anywhere; servers are named by their index in Servers, from 0.
//
// On Linux the processes die with the process that started them, however it ends; elsewhere they do when it gets to call Close. What a process
// that was killed has left in the temporary directory stays there, below holdfast-zookeeper-*.
type Ensemble struct {
	config ensembleConfig
	dir    string
	ctx    context.Context // ends with Close, and with it every wait
	cancel context.CancelFunc

	mu      sync.Mutex // one change at a time; held while processes are started and killed, not while they are waited for to serve
	closed  bool
	members []*member
}

// NewEnsemble starts n real servers, 1 or 3, and returns when all of them serve, or after at most 30 s with an error that ends in the
// last lines of a log; nothing is left running then. The servers listen on free ports, keep their data and logs in a temporary
// directory until Close, and answer every four-letter command. The error is ErrNotInstalled, wrapped, where there is no ZooKeeper.
//
// All Options apply. The tick is 200 ms unless WithTick says otherwise, so that expiries need not be waited for long, and sessions may
// last up to a minute.
func NewEnsemble(n int, opts ...Option) (*Ensemble, error) {
	config, err := newEnsembleConfig(n, opts)
	if err != nil {
		return nil, err
	}
	install, err := findInstallation(os.Getenv("ZOOKEEPER_HOME"))
	if err != nil {
		return nil, err
	}
	// A port that was free when it was chosen can be taken by a program that does not know of our claims before Java has bound it.
	for attempt := 1; ; attempt++ {
		e, err := newEnsemble(n, config, install)
		if err == nil {
			return e, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == 3 {
			return nil, err
		}
	}
}

func newEnsemble(n int, config ensembleConfig, install installation) (_ *Ensemble, err error) {
	dir, err := os.MkdirTemp("", "holdfast-zookeeper-")
	if err != nil {
		return nil, fmt.Errorf("zktest: %w", err)
	}
	e := &Ensemble{config: config, dir: dir}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	for i := range n {
		m, err := newMember(i, dir, config, install)
		if err != nil {
			return nil, err
		}
		e.members = append(e.members, m)
	}
	for _, m := range e.members {
		if err := m.writeConfig(config, e.members); err != nil {
			return nil, err
		}
	}
	return e, e.StartAll()
}

// StartEnsemble is NewEnsemble for a test: the ensemble is closed when the test and its subtests are over, and its logs are among the
// test's artifacts. Where ZooKeeper is not installed the test is skipped; it fails instead where the environment variable
// HOLDFAST_REAL_ZOOKEEPER is "required", so that a build that means to test on real ZooKeeper cannot quietly stop doing so.
func StartEnsemble(tb testing.TB, n int, opts ...Option) *Ensemble {
	tb.Helper()
	logDir, err := os.MkdirTemp(tb.ArtifactDir(), "zookeeper-") //nolint:usetesting // what is in TempDir cannot be kept with -artifacts
	if err != nil {
		tb.Fatal(err)
	}
	e, err := NewEnsemble(n, slices.Concat(opts, []Option{withLogDir(logDir)})...)
	switch {
	case errors.Is(err, ErrNotInstalled) && os.Getenv("HOLDFAST_REAL_ZOOKEEPER") != "required":
		tb.Skip(err)
	case err != nil:
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// Servers are the addresses of all servers, running or not, as host:port. They never change.
func (e *Ensemble) Servers() []string {
	addrs := make([]string, len(e.members))
	for i, m := range e.members {
		addrs[i] = m.addr()
	}
	return addrs
}

// Kill ends server i as a power cut would (SIGKILL) and returns when its process is gone: from then on connections are refused.
// Killing a server that does not run is no error.
func (e *Ensemble) Kill(i int) error {
	return e.change(i, func(m *member) error { return m.kill() })
}

// Pause stops server i where it stands (SIGSTOP): its connections stay open and silent, and the kernel goes on accepting new ones.
// Kill, Restart and Close work on a paused server. Windows has no such signal; there the error is errors.ErrUnsupported.
func (e *Ensemble) Pause(i int) error {
	return e.change(i, func(m *member) error { return m.pause() })
}

// Resume lets a paused server go on (SIGCONT).
func (e *Ensemble) Resume(i int) error {
	return e.change(i, func(m *member) error { return m.resume() })
}

// Restart starts server i again on the same port and data, killing it first if it runs. It returns when the server serves; while too
// few servers run for a quorum, none can, and Restart returns when the server answers at all. After 30 s it gives up with an error.
func (e *Ensemble) Restart(i int) error {
	return e.restart(i, func(*member) {})
}

// Upgrade is Restart with another ZooKeeper: the one in the directory home, as ZOOKEEPER_HOME would name it, or the one that is installed if home is
// "". Server i has it from then on; the other servers keep theirs.
func (e *Ensemble) Upgrade(i int, home string) error {
	install, err := findInstallation(home)
	if err != nil {
		return err
	}
	return e.restart(i, func(m *member) { m.install = install })
}

// restart starts server i again after a change while it does not run.
func (e *Ensemble) restart(i int, between func(*member)) error {
	err := e.change(i, func(m *member) error {
		if err := m.kill(); err != nil {
			return err
		}
		between(m)
		return m.start(e.ctx, e.config)
	})
	if err != nil {
		return err
	}
	return e.await(e.members[i])
}

// StopAll kills every server, as Kill does.
func (e *Ensemble) StopAll() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errEnsembleClosed
	}
	return e.stopAll()
}

// StartAll starts the servers that do not run and returns when all but the paused ones serve, or after 30 s with an error.
func (e *Ensemble) StartAll() error {
	started, err := e.startAll()
	if err != nil {
		return err
	}
	return e.await(started...)
}

// Wipe stops all servers, deletes their data and starts them again: the ensemble that somebody set up anew on the same addresses. Its
// transaction ids begin at zero. It returns when all servers serve, or after 30 s with an error.
func (e *Ensemble) Wipe() error {
	e.mu.Lock()
	err := errEnsembleClosed
	if !e.closed {
		err = e.stopAll()
	}
	if err == nil {
		for _, m := range e.members {
			err = errors.Join(err, os.RemoveAll(filepath.Join(m.dataDir, "version-2")))
		}
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	return e.StartAll()
}

// Command is server i's answer to one of ZooKeeper's four-letter commands, such as "srvr", "cons", "wchs" or "mntr". It waits at most
// 5 s for it.
func (e *Ensemble) Command(i int, word string) (string, error) {
	if err := e.check(i); err != nil {
		return "", err
	}
	return e.members[i].command(e.ctx, word, 5*time.Second)
}

// Close kills all servers, waits until their processes are gone and removes their directory. Waits in other methods end with an error.
// A second Close does nothing.
func (e *Ensemble) Close() error {
	e.cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	err := e.stopAll()
	for _, m := range e.members {
		m.release()
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}

// change runs f on server i, one change at a time.
func (e *Ensemble) change(i int, f func(*member) error) error {
	if err := e.check(i); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errEnsembleClosed
	}
	if err := f(e.members[i]); err != nil {
		return fmt.Errorf("zktest: server %d: %w", i, err)
	}
	return nil
}

func (e *Ensemble) check(i int) error {
	if i < 0 || i >= len(e.members) {
		return fmt.Errorf("zktest: no server %d in an ensemble of %d", i, len(e.members))
	}
	return nil
}

func (e *Ensemble) startAll() (started []*member, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errEnsembleClosed
	}
	for _, m := range e.members {
		if !m.running() {
			err = errors.Join(err, m.start(e.ctx, e.config))
		}
		if !m.paused {
			started = append(started, m)
		}
	}
	return started, err
}

// stopAll must be called with mu held.
func (e *Ensemble) stopAll() error {
	var errs []error
	for _, m := range e.members {
		errs = append(errs, m.kill())
	}
	return errors.Join(errs...)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
