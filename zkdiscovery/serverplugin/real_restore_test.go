package serverplugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/holdfast-go/holdfast/internal/impatient"
	"github.com/holdfast-go/holdfast/zkdiscovery/zktest"
)

// dataDirs asks each server of an ensemble where its data are.
func dataDirs(t *testing.T, e *zktest.Ensemble) []string {
	t.Helper()
	var dirs []string
	for i := range e.Servers() {
		conf, err := e.Command(i, "conf")
		_, rest, found := strings.Cut(conf, "dataDir=")
		dir, _, _ := strings.Cut(rest, "\n")
		if err != nil || !found {
			t.Fatal(conf, err)
		}
		dirs = append(dirs, strings.TrimSpace(dir))
	}
	return dirs
}

// TestARestoredBackupOnRealZooKeeper restores an ensemble from a backup in which the session lives, and has it begin a new epoch before the process
// is back: to that and to its watches nothing has changed.
func TestARestoredBackupOnRealZooKeeper(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	e := zktest.StartEnsemble(t, 3)
	proxy, err := zktest.NewProxy(e.Servers()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	r := realZooKeeper{T: t, ensemble: e, base: "/restored"}
	p := r.plugin(WithZKServersAddress([]string{proxy.Addr()}), WithSessionTimeout(50*time.Second))
	for _, name := range []string{"Arith", "Gone"} {
		if err := p.Register(name, nil, "weight=1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.WaitRegistered(t.Context()); err != nil {
		t.Fatal(err)
	}
	dirs, backup := dataDirs(t, e), t.TempDir()
	restart := func(meanwhile func(i int, dir string) error) {
		t.Helper()
		errs := []error{e.StopAll()}
		for i, dir := range dirs {
			errs = append(errs, meanwhile(i, dir))
		}
		if err := errors.Join(append(errs, e.StartAll())...); err != nil {
			t.Fatal(err)
		}
	}
	place := func(i int) string { return filepath.Join(backup, fmt.Sprint(i)) }
	restart(func(i int, dir string) error { return os.CopyFS(place(i), os.DirFS(dir)) })
	r.soon("connected again", func() bool { st := p.Status(); return st.Connected && st.Connections > 1 })
	if err := errors.Join(p.SetMetadata("Arith", "weight=2"), p.Unregister("Gone")); err != nil {
		t.Fatal(err)
	}
	r.soon("the metadata are written", func() bool { return p.Status().Writes == 4 })

	proxy.Cut(true)
	restart(func(i int, dir string) error {
		return errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(place(i))))
	})
	restart(func(int, string) error { return nil }) // a new epoch, above what the process has seen
	conn, events, err := zk.Connect(e.Servers(), 30*time.Second, zk.WithLogInfo(false), zk.WithLogger(quiet{}), zk.WithDialer(impatient.Dial))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		conn.Close()
		for range events { // see TestOnRealZooKeeper
		}
	}()
	r.conn = conn
	gone := r.base + "/Gone/" + address
	if data, _, err := conn.Get(r.node()); err != nil || string(data) != "weight=1" {
		t.Fatalf("the backup says %q, %v", data, err)
	}
	if there, _, err := conn.Exists(gone); err != nil || !there {
		t.Fatalf("the backup has no unregistered node: %v", err)
	}
	proxy.Cut(false)
	start := time.Now()
	r.soon("the metadata are those registered", func() bool { return r.owns(p, "weight=2") })
	r.soon("the unregistered node is gone", func() bool { there, _, err := conn.Exists(gone); return err == nil && !there })
	t.Logf("restored after %v", time.Since(start))
	if st := p.Status(); st.Sessions != 1 || len(st.Services) != 1 || len(st.Services[0].Operator) > 0 {
		t.Errorf("the session has not survived, or the backup was taken for an operator: %+v", st)
	}
}
