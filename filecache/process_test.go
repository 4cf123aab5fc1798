package filecache

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary becomes another process that saves when these are in its environment.
const (
	writerDirectory = "FILECACHE_TEST_WRITER"
	writerSaves     = "FILECACHE_TEST_SAVES" // how many, then it ends; 0: until it is killed
)

// beWriter is what TestMain does in such a process.
func beWriter(dir string) int {
	saves, err := strconv.Atoi(os.Getenv(writerSaves))
	if err == nil {
		err = runWriter(dir, saves)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// runWriter saves one numbered snapshot after the other, from the file's on, and prints the number of each that is safe.
func runWriter(dir string, saves int) error {
	c, err := Open(dir, "zk1:2181", "/prod/rpcx/Arith")
	if err != nil {
		return err
	}
	s, err := c.Load()
	if err != nil && !errors.Is(err, errNone) {
		return err
	}
	for n, done := s.Zxid+1, 0; saves == 0 || done < saves; n++ {
		switch err := c.Save(numbered(n)); {
		case errors.Is(err, ErrNewer): // another writer is ahead
			if s, err = c.Load(); err != nil {
				return err
			}
			n = s.Zxid
		case errors.Is(err, errLocked): // the others are quicker on a busy machine
			n--
		case err != nil:
			return err
		default:
			done++
			fmt.Println(n)
		}
	}
	return nil
}

// numbered is a snapshot of which every part tells its number, so that a mixture of two is noticed.
func numbered(n int64) Snapshot {
	s := Snapshot{Lineage: "one", Zxid: n, AsOf: noon.Add(time.Duration(n)), Servers: make([]Server, 50+n%200)}
	for i := range s.Servers {
		s.Servers[i] = Server{Key: fmt.Sprintf("tcp@127.0.0.%d:8972", i), Value: strconv.FormatInt(n, 10)}
	}
	return s
}

// startWriter returns the process and the numbers that it has saved.
func startWriter(t *testing.T, dir string, saves int) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), writerDirectory+"="+dir, fmt.Sprintf("%s=%d", writerSaves, saves))
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// F1: a writer that is killed at any moment leaves a whole snapshot, no older than the last one it knew to be safe, and nothing to repair.
func TestKilledWriterLeavesAWholeSnapshot(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 20
	}
	dir := t.TempDir()
	logs := &lines{}
	reader := mustOpen(t, dir, WithLogger(logs.logger()))
	last := int64(0)
	for range kills {
		cmd, out := startWriter(t, dir, 0)
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatalf("the writer ended: %v", cmd.Wait())
		}
		timer := time.AfterFunc(rand.N(20*time.Millisecond), func() { _ = cmd.Process.Kill() })
		safe := lines.Text()
		for lines.Scan() {
			safe = lines.Text()
		}
		timer.Stop()
		_ = cmd.Wait() // killed
		number, err := strconv.ParseInt(safe, 10, 64)
		if err != nil { // the last line was cut
			number = last
		}
		last = max(last, number)

		s := mustLoad(t, reader)
		if s.Zxid < last || s.Zxid > last+1 {
			t.Fatalf("number %d was safe, the file has %d", last, s.Zxid)
		}
		wantSame(t, s, numbered(s.Zxid))
		last = s.Zxid
	}
	if logs.String() != "" {
		t.Fatalf("there was something to repair:\n%s", logs)
	}
	t.Logf("%d kills, %d snapshots, %d orphans", kills, last, len(temporaries(t, reader.at)))
}

// temporaries are the files in these directories that a writer is, or was, about to write.
func temporaries(tb testing.TB, dirs ...string) []string {
	tb.Helper()
	var names []string
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			tb.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				names = append(names, filepath.Join(dir, e.Name()))
			}
		}
	}
	return names
}

// F5: several processes write and read one file at once. Readers see whole snapshots that never get older, and the latest one is there
// in the end.
func TestProcessesShareAFile(t *testing.T) {
	const writers, saves = 3, 100
	dir := t.TempDir()
	var wg sync.WaitGroup
	highest := make([]int64, writers)
	commands := make([]*exec.Cmd, writers)
	for w := range writers {
		cmd, out := startWriter(t, dir, saves)
		commands[w] = cmd
		wg.Go(func() {
			for lines := bufio.NewScanner(out); lines.Scan(); {
				highest[w], _ = strconv.ParseInt(lines.Text(), 10, 64)
			}
		})
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			c := mustOpen(t, dir)
			seen := int64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				s, err := c.Load()
				switch {
				case errors.Is(err, errNone) && seen == 0:
					continue
				case err != nil:
					t.Error(err)
					return
				case s.Zxid < seen:
					t.Errorf("number %d after %d", s.Zxid, seen)
					return
				}
				if want := numbered(s.Zxid); !equalSnapshots(bare(s), want) {
					t.Errorf("number %d is mixed with another", s.Zxid)
					return
				}
				seen = s.Zxid
			}
		})
	}
	wg.Wait()
	for _, cmd := range commands {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a writer failed: %v", err)
		}
	}
	close(stop)
	readers.Wait()
	if s := mustLoad(t, mustOpen(t, dir)); s.Zxid != max(highest[0], highest[1], highest[2]) {
		t.Errorf("the file has number %d, the writers have saved %v", s.Zxid, highest)
	}
}

// The temporary files of killed writers go when somebody opens the Cache; those that may be a living writer's stay, and so do other files.
func TestOpenRemovesOrphans(t *testing.T) {
	for _, tt := range []struct {
		rule, name string
		age        time.Duration
		removed    bool
	}{
		{"an old temporary file goes", ".list.json123456", 2 * orphanAge, true},
		{"that of a predecessor too", ".prev.json987", 2 * orphanAge, true},
		{"and that of the ensemble's", "../../../.ensemble.json5", 2 * orphanAge, true},
		{"a young one may have a living writer", ".list.json123456", orphanAge / 2, false},
		{"what is not named so is not ours", ".list.json12.json99", 2 * orphanAge, false},
		{"a file set aside stays", "list.json.corrupt-2026", 2 * orphanAge, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			dir := t.TempDir()
			c := mustOpen(t, dir)
			remove(t, filepath.Join(c.home, ensembleFile)) // its writer was killed
			path := filepath.Join(c.at, tt.name)
			write(t, path, "x")
			then := time.Now().Add(-tt.age)
			if err := os.Chtimes(path, then, then); err != nil {
				t.Fatal(err)
			}
			mustOpen(t, dir)
			if _, err := os.Stat(path); errors.Is(err, errNone) != tt.removed {
				t.Errorf("removed: %t, want %t", !tt.removed, tt.removed)
			}
		})
	}
}
