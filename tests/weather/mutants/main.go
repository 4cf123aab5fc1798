// Command mutants finds out what the simulation of tests/weather would notice: it puts a fault into the library, one at a time, and plays seeds
// until one fails. Nothing in the tree changes: the compiler is given the faulty file in place of the sound one.
//
//	go run ./tests/weather/mutants               faults that the library has had, or might have, by hand (see faults.go)
//	go run ./tests/weather/mutants -draw 15      faults drawn at random; -seed says which
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

var (
	draw  = flag.Int("draw", 0, "so many faults are drawn; 0: those of faults.go")
	seed  = flag.Uint64("seed", 0, "of the draw; 0: a random one, which is printed")
	seeds = flag.Int("seeds", 1000, "so many histories are played at most")
	check = flag.Bool("n", false, "compile the faults and play nothing")
	limit = flag.Duration("limit", 30*time.Minute, "how long the histories of one fault are played at most")
	only  = flag.String("only", "", "only the faults whose name has this regular expression in it")
)

// mutant is the library with a fault in it.
type mutant struct {
	name  string
	files map[string]string // what is in the faulty files
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("where is the module? %w", err)
	}
	root := strings.TrimSpace(string(out))
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays is in the temporary directory
	named, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	var next func() (mutant, bool, error)
	if *draw > 0 {
		if *seed == 0 {
			*seed = rand.Uint64N(1 << 32)
		}
		fmt.Printf("%d faults, drawn with -seed %d\n", *draw, *seed)
		next = drawn(root, *seed)
	} else {
		next = byHand(root)
	}
	survivors, n := 0, 0
	for *draw == 0 || n < *draw {
		m, ok, err := next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if !named.MatchString(m.name) {
			continue
		}
		caught, how, err := m.play(root, dir)
		if errors.Is(err, errNoProgram) {
			if *draw == 0 {
				return fmt.Errorf("%s: %w:\n%s", m.name, err, how)
			}
			continue
		}
		if err != nil {
			return err
		}
		if n++; !caught {
			survivors++
		}
		fmt.Printf("%-90s %s\n", m.name, how)
	}
	fmt.Printf("%d of %d survive\n", survivors, n)
	return nil
}

var errNoProgram = errors.New("it does not compile")

var (
	played = regexp.MustCompile(`weather: (\d+) histories, (\d+) failed`)
	failed = regexp.MustCompile(`seed (\d+): (\w+), `)
	died   = regexp.MustCompile(`(?m)^(panic|fatal error): .*$`)
)

// play plays seeds until one fails.
func (m mutant) play(root, dir string) (caught bool, how string, err error) {
	replace := make(map[string]string)
	for name, text := range m.files {
		faulty := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(faulty, []byte(text), 0o600); err != nil {
			return false, "", err
		}
		replace[filepath.Join(root, name)] = faulty
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return false, "", err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return false, "", err
	}
	binary := filepath.Join(dir, "weather.test")
	build := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, "./tests/weather")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return false, string(out), errNoProgram
	}
	if *check {
		return true, "compiles", nil
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()
	test := exec.CommandContext(ctx, binary, "-test.run", "TestWeather", "-test.timeout", "0", "-weather.seeds", fmt.Sprint(*seeds), "-weather.from", "1",
		"-weather.failures", "1", "-weather.shrink", "-1s")
	test.Dir = dir
	out, err := test.CombinedOutput()
	took := time.Since(began).Round(time.Second)
	switch {
	case err == nil:
		return false, fmt.Sprintf("SURVIVES %d seeds (%v)", *seeds, took), nil
	case ctx.Err() != nil:
		return false, fmt.Sprintf("SURVIVES %v, which are not %d seeds", took, *seeds), nil
	}
	n := "?"
	if p := played.FindAllStringSubmatch(string(out), -1); len(p) > 0 {
		n = p[len(p)-1][1]
	}
	switch f, d := failed.FindStringSubmatch(string(out)), died.FindString(string(out)); {
	case f != nil:
		how = fmt.Sprintf("caught after %s seeds by %s (seed %s, %v)", n, f[2], f[1], took)
	case d != "":
		how = fmt.Sprintf("caught: %.80s (%v)", d, took)
	default:
		how = fmt.Sprintf("caught: %.80s (%v)", out[max(0, len(out)-80):], took)
	}
	return true, how, nil
}
