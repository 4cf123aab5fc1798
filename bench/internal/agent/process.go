package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// Process is an agent as the program sees it. Its methods are not called at once, but for Close.
type Process struct {
	Contender string

	cmd     *exec.Cmd
	stdin   io.WriteCloser
	stderr  *tail
	answers chan []string // from the reader, which closes it when the process's output has ended
	reading sync.WaitGroup
	closing sync.Once

	mu    sync.Mutex
	last  int
	met   map[string]chan time.Time // by expectation; room for one
	ticks []Tick
}

// Tick is what became of the calls that were due in one bin of time.
type Tick struct {
	At         time.Time
	OK, Failed int
}

// Failure is a contender's own word that it cannot do what it was asked for.
type Failure struct {
	Took time.Duration
	Why  string
}

func (e *Failure) Error() string { return e.Why }

// ErrDied means that the process ended while it was asked.
var ErrDied = errors.New("its process died")

// startGo starts a program that calls RunIfAsked as an agent.
func startGo(ctx context.Context, program, contender string) (*Process, error) {
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), asked+"="+contender)
	return start(cmd, contender)
}

func start(cmd *exec.Cmd, contender string) (*Process, error) {
	p := &Process{Contender: contender, cmd: cmd, stderr: new(tail), answers: make(chan []string, 1), met: make(map[string]chan time.Time)}
	cmd.Stderr = p.stderr
	cmd.WaitDelay = time.Second
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start an agent for %s: %w", contender, err)
	}
	p.reading.Go(func() { p.read(stdout) })
	return p, nil
}

func (p *Process) read(stdout io.Reader) {
	defer close(p.answers)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		fields := decode(lines.Text())
		switch {
		case len(fields) == 3 && fields[0] == "met":
			ns, _ := strconv.ParseInt(fields[2], 10, 64)
			p.mu.Lock()
			if ch := p.met[fields[1]]; ch != nil {
				ch <- time.Unix(0, ns)
				delete(p.met, fields[1])
			}
			p.mu.Unlock()
		case len(fields) == 4 && fields[0] == "tick":
			ms, _ := strconv.ParseInt(fields[1], 10, 64)
			ok, _ := strconv.Atoi(fields[2])
			failed, _ := strconv.Atoi(fields[3])
			p.mu.Lock()
			p.ticks = append(p.ticks, Tick{time.UnixMilli(ms), ok, failed})
			p.mu.Unlock()
		case len(fields) > 0:
			select {
			case p.answers <- fields:
			default: // an answer that nobody waits for any more, and one behind it: the process is past use
			}
		}
	}
}

// ask sends a command and returns the fields of its answer behind the first, which is want. After an error other than a Failure the process is
// of no further use: it may still be busy with the command.
func (p *Process) ask(ctx context.Context, want string, command ...any) ([]string, error) {
	if _, err := io.WriteString(p.stdin, encode(command...)+"\n"); err != nil {
		return nil, p.died()
	}
	select {
	case fields, ok := <-p.answers:
		switch {
		case !ok:
			return nil, p.died()
		case fields[0] == "failed" && len(fields) == 3:
			ns, _ := strconv.ParseInt(fields[1], 10, 64)
			return nil, &Failure{Took: time.Duration(ns), Why: fields[2]}
		case fields[0] != want:
			return nil, fmt.Errorf("%s: %q was answered by %q", p.Contender, command[0], fields[0])
		}
		return fields[1:], nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *Process) died() error {
	if last := p.stderr.String(); last != "" {
		return fmt.Errorf("%s: %w: %s", p.Contender, ErrDied, last)
	}
	return fmt.Errorf("%s: %w", p.Contender, ErrDied)
}

// Open is what a contender is to follow, and how.
type Open struct {
	Servers        []string
	Base, Service  string
	Dir            string
	Want           int // instances to wait for
	Services       int // 0: Service itself; otherwise Service0, Service1, …, over one connection
	Watchers       int // 0: one
	Stuck          int // how many of them take nothing from their channels
	SessionTimeout time.Duration
}

// Open opens what is to be followed, and tells how long that took the contender, by its own clock.
func (p *Process) Open(ctx context.Context, o Open) (took time.Duration, err error) {
	command := []any{"open", o.Servers, o.Base, o.Service, o.Dir, o.Want, max(1, o.Watchers), o.Stuck, o.SessionTimeout}
	if o.Services > 0 {
		command = []any{"many", o.Servers, o.Base, o.Service, o.Dir, o.Want, o.Services, o.SessionTimeout}
	}
	fields, err := p.ask(ctx, "opened", command...)
	if err != nil {
		return 0, err
	}
	ns, err := integers(fields, 2)
	if err != nil {
		return 0, err
	}
	return time.Duration(ns[0]), nil
}

// Expect has the watchers look out for something. The channel receives the time when the last of them had seen it, once. What was expected before
// and was not seen yet is forgotten.
func (p *Process) Expect(ctx context.Context, key, want string) (<-chan time.Time, error) {
	p.mu.Lock()
	p.last++
	id := strconv.Itoa(p.last)
	ch := make(chan time.Time, 1)
	clear(p.met)
	p.met[id] = ch
	p.mu.Unlock()
	if _, err := p.ask(ctx, "armed", "expect", id, key, want); err != nil {
		return nil, err
	}
	return ch, nil
}

// Digest is registry.Digest of what the watcher knows.
func (p *Process) Digest(ctx context.Context) (string, error) {
	fields, err := p.ask(ctx, "digest", "digest")
	if err != nil {
		return "", err
	}
	return fields[0], nil
}

// Stats is what a process uses.
type Stats struct {
	Goroutines int // of Java: threads
	Heap       int64
}

// Stats collects the garbage first.
func (p *Process) Stats(ctx context.Context) (Stats, error) {
	fields, err := p.ask(ctx, "stats", "stats")
	if err != nil {
		return Stats{}, err
	}
	ns, err := integers(fields, 2)
	if err != nil {
		return Stats{}, err
	}
	return Stats{Goroutines: int(ns[0]), Heap: ns[1]}, nil
}

// Used is what a process has used since it began.
type Used struct {
	CPU       time.Duration
	Allocated int64 // bytes
}

// Used asks the operating system for the processors' time where that tells of other processes, which is finer than what Java tells of itself.
func (p *Process) Used(ctx context.Context) (Used, error) {
	fields, err := p.ask(ctx, "used", "used")
	if err != nil {
		return Used{}, err
	}
	ns, err := integers(fields, 2)
	if err != nil {
		return Used{}, err
	}
	u := Used{CPU: time.Duration(ns[0]), Allocated: ns[1]}
	if precise, ok := clockOf(p.cmd.Process.Pid); ok {
		u.CPU = precise
	}
	return u, nil
}

// Profile has the process write what its processors' time goes to, as go tool pprof reads it, until the next Profile. An empty path only ends the last.
func (p *Process) Profile(ctx context.Context, path string) error {
	_, err := p.ask(ctx, "profiling", "profile", path)
	return err
}

// LoadFile has the process read the list that its contender has saved in a directory, and tells how long that took and how many instances it has.
func (p *Process) LoadFile(ctx context.Context, dir string) (took time.Duration, n int, err error) {
	fields, err := p.ask(ctx, "loaded", "load-file", dir)
	if err != nil {
		return 0, 0, err
	}
	ns, err := integers(fields, 2)
	if err != nil {
		return 0, 0, err
	}
	return time.Duration(ns[0]), int(ns[1]), nil
}

// Load has the process call a service, see Ticks. o's Watchers and Want do not matter.
func (p *Process) Load(ctx context.Context, o Open, rate int, bin time.Duration) error {
	_, err := p.ask(ctx, "loading", "load", o.Servers, o.Base, o.Service, o.Dir, rate, bin, o.SessionTimeout)
	return err
}

// Ticks are the bins that the load has told of until now.
func (p *Process) Ticks() []Tick {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Tick(nil), p.ticks...)
}

// Serve has the process register a server, and returns when its plugin says that it has.
func (p *Process) Serve(ctx context.Context, servers []string, base, service, address string, update, timeout time.Duration) error {
	_, err := p.ask(ctx, "serving", "serve", servers, base, service, address, update, timeout)
	return err
}

// ServeMany has the process register a server under so many services, prefix0, prefix1 and so on, and tells how long that took it, from the plugin's start.
func (p *Process) ServeMany(ctx context.Context, servers []string, base, prefix, address string, services int, timeout time.Duration) (time.Duration, error) {
	fields, err := p.ask(ctx, "serving", "serve-many", servers, base, prefix, address, services, timeout)
	if err != nil {
		return 0, err
	}
	ns, err := integers(fields, 1)
	if err != nil {
		return 0, err
	}
	return time.Duration(ns[0]), nil
}

// Shut ends what Open has opened.
func (p *Process) Shut(ctx context.Context) error {
	_, err := p.ask(ctx, "closed", "close")
	return err
}

// Close ends the process as kill -9 does and returns when it is gone: what a contender does at its end is not measured. A second Close does nothing.
func (p *Process) Close() {
	p.closing.Do(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.stdin.Close()
		p.reading.Wait()
		_ = p.cmd.Wait() // the signal
	})
}

func integers(fields []string, n int) ([]int64, error) {
	if len(fields) != n {
		return nil, fmt.Errorf("%d numbers were answered, not %d", len(fields), n)
	}
	ns := make([]int64, n)
	for i, f := range fields {
		var err error
		if ns[i], err = strconv.ParseInt(f, 10, 64); err != nil {
			return nil, err
		}
	}
	return ns, nil
}
