package agent

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/log"

	"github.com/holdfast-go/holdfast/bench/internal/contender"
	"github.com/holdfast-go/holdfast/bench/internal/registry"
)

// RunIfAsked makes an agent of this process if that is what it was started for, and then does not return. Every program that starts agents calls
// it first, a test's in TestMain. byName finds the contenders that the program has.
func RunIfAsked(byName func(name string) (contender.Contender, error)) {
	name := os.Getenv(asked)
	if name == "" {
		return
	}
	log.SetDummyLogger()
	(&agent{name: name, byName: byName, out: os.Stdout}).run(os.Stdin)
	os.Exit(0)
}

// agent is the process's end of the conversation.
type agent struct {
	name   string
	byName func(string) (contender.Contender, error)

	mu  sync.Mutex
	out io.Writer

	discoveries []client.ServiceDiscovery
	watchers    watchers
	profiling   *os.File // nil: not now
}

func (a *agent) say(fields ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _ = fmt.Fprintln(a.out, encode(fields...)) // whoever does not listen any more will close stdin
}

// run has every line of in obeyed, one after the other. It returns when in ends, whatever is being obeyed then.
func (a *agent) run(in io.Reader) {
	commands := make(chan []string, 100) // far more than are sent to a process that does not answer
	go func() {
		for fields := range commands {
			began := time.Now()
			if err := a.obey(began, fields); err != nil {
				a.say("failed", time.Since(began).Nanoseconds(), err.Error())
			}
		}
	}()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		commands <- decode(lines.Text())
	}
}

func (a *agent) obey(began time.Time, fields []string) error {
	c, err := a.byName(a.name)
	if err != nil {
		return err
	}
	f := &arguments{fields: fields[1:]}
	switch fields[0] {
	case "open":
		config := contender.Config{Servers: f.list(), Base: f.text(), Service: f.text(), Dir: f.text()}
		want, n, stuck := f.number(), f.number(), f.number()
		config.SessionTimeout = f.duration()
		return a.open(began, want, n, stuck, func() ([]client.ServiceDiscovery, error) {
			d, err := c.Open(config)
			return []client.ServiceDiscovery{d}, err
		})
	case "many":
		config := contender.Config{Servers: f.list(), Base: f.text()}
		prefix := f.text()
		config.Dir = f.text()
		want, n := f.number(), f.number()
		config.SessionTimeout = f.duration()
		services := make([]string, n)
		for i := range services {
			services[i] = prefix + strconv.Itoa(i)
		}
		return a.open(began, want, 1, 0, func() ([]client.ServiceDiscovery, error) { return c.Many(config, services) })
	case "expect":
		a.watchers.expect(&expectation{id: f.text(), key: f.text(), want: f.text(), met: func(id string, at time.Time) {
			a.say("met", id, at.UnixNano())
		}})
		a.say("armed")
	case "digest":
		list := a.watchers.list()
		a.say("digest", registry.Digest(list), len(list))
	case "stats":
		runtime.GC()
		runtime.GC() // what finalizers have let go
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		a.say("stats", runtime.NumGoroutine()-1, m.HeapAlloc) // without the one that waits for the next command
	case "used":
		a.say("used", cpuTime().Nanoseconds(), allocated())
	case "load":
		config := contender.Config{Servers: f.list(), Base: f.text(), Service: f.text(), Dir: f.text()}
		rate, bin := f.number(), f.duration()
		config.SessionTimeout = f.duration()
		a.say("loading")
		go load(a, func() (client.ServiceDiscovery, error) { return c.Open(config) }, config.Service, rate, bin)
	case "serve":
		if err := serve(a.name, f); err != nil {
			return err
		}
		a.say("serving", time.Since(began).Nanoseconds())
	case "serve-many":
		if err := serveMany(a.name, f); err != nil {
			return err
		}
		a.say("serving", time.Since(began).Nanoseconds())
	case "profile":
		if err := a.profile(f.text()); err != nil {
			return err
		}
		a.say("profiling")
	case "load-file":
		n, err := contender.LoadFile(a.name, f.text())
		if err != nil {
			return err
		}
		a.say("loaded", time.Since(began).Nanoseconds(), n)
	case "close":
		a.watchers.close()
		for _, d := range a.discoveries {
			d.Close()
		}
		a.discoveries = nil
		a.say("closed")
	default:
		return fmt.Errorf("no command is called %q", fields[0])
	}
	return f.err
}

// open answers when the discoveries, of services of one size, list as many instances as are wanted together; whoever waits for that decides how long. They
// are asked one after the other until they have theirs, so that asking takes little of the time.
func (a *agent) open(began time.Time, want, n, stuck int, open func() ([]client.ServiceDiscovery, error)) error {
	ds, err := open()
	if err != nil {
		return err
	}
	count := 0
	for _, d := range ds {
		n := len(d.GetServices())
		for ; n < want/len(ds); n = len(d.GetServices()) {
			time.Sleep(100 * time.Microsecond)
		}
		count += n
	}
	took := time.Since(began)
	a.discoveries = ds
	a.watchers.start(ds, n, stuck)
	a.say("opened", took.Nanoseconds(), count)
	return nil
}

// profile begins to write a profile of the processors' time to path, and ends the one that is being written.
func (a *agent) profile(path string) (err error) {
	if a.profiling != nil {
		pprof.StopCPUProfile()
		err = a.profiling.Close()
		a.profiling = nil
	}
	if path == "" || err != nil {
		return err
	}
	if a.profiling, err = os.Create(path); err != nil { //nolint:gosec // as the command line says
		return err
	}
	return pprof.StartCPUProfile(a.profiling)
}

// allocated is how many bytes this process has ever allocated. It stops the process for a moment: what a goroutine allocates is not counted at once
// otherwise.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// arguments takes a command's fields one after the other.
type arguments struct {
	fields []string
	err    error
}

func (f *arguments) text() string {
	if len(f.fields) == 0 {
		f.err = io.ErrUnexpectedEOF
		return ""
	}
	s := f.fields[0]
	f.fields = f.fields[1:]
	return s
}

func (f *arguments) list() []string { return strings.Split(f.text(), ",") }

func (f *arguments) number() int {
	n, err := strconv.Atoi(f.text())
	if err != nil {
		f.err = err
	}
	return n
}

func (f *arguments) duration() time.Duration { return time.Duration(f.number()) * time.Millisecond }
