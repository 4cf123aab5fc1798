package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/internal/scenario"
)

// options is what the command line says.
type options struct {
	plan      scenario.Plan
	scenarios []scenario.Scenario
	zooKeeper []string // empty: start one
	out       string
	profiles  bool
	compare   []string // two files; empty: measure
}

// parse reads the command line. What is wrong with it is one line; help, for which flag.ErrHelp is returned, is written to w.
func parse(args []string, w io.Writer) (options, error) {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	quick := fs.Bool("quick", false, "fewer rounds and sizes: less than 3 minutes instead of about 25")
	names := fs.String("scenario", "", "only these, by number or name; some run only when they are named: "+scenarioNames())
	sizes := fs.String("n", "", "instances of a service, such as 10,5000; with -scenario change,cost,start,file only")
	trips := fs.String("rtt", "", "round trips to ZooKeeper, such as 0,2ms; with -scenario change,start only")
	clients := fs.Int("clients", 0, "clients that are simulated, 4 MB each; with -scenario clients only")
	servers := fs.String("zk", "", "ZooKeeper's servers, host:port,host:port; without it one is started")
	profiles := fs.Bool("profile", false, "scenario cost writes profiles of the clients' processor time beside the results; they take some of it")
	compare := fs.String("compare", "", "measure nothing: say where two runs do not agree, first/results.json,second/results.json")
	out := fs.String("out", "out", "`directory` for results.json, results.md and the plots")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			_, _ = fmt.Fprintln(w, "Usage: go run . [flags]")
			fs.SetOutput(w)
			fs.PrintDefaults()
		}
		return options{}, err
	}
	if fs.NArg() > 0 {
		return options{}, fmt.Errorf("%q is no flag", fs.Arg(0))
	}
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	o := options{plan: scenario.Full(), scenarios: scenario.Usual(), out: *out, profiles: *profiles}
	if *quick {
		o.plan = scenario.Quick()
	}
	var errs []error
	check := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if given["scenario"] {
		var err error
		o.scenarios, err = chooseScenarios(*names)
		check(err)
	}
	if given["n"] {
		ns, err := parseList("-n", *sizes, parseSize)
		check(err)
		o.plan.Sizes, o.plan.Delayed, o.plan.StartSizes, o.plan.FileSizes = ns, ns, ns, ns
		check(heeded("-n", o.scenarios, func(s scenario.Scenario) bool { return s.Sizes }))
	}
	if given["rtt"] {
		var err error
		o.plan.RoundTrips, err = parseList("-rtt", *trips, parseRoundTrip)
		check(err)
		check(heeded("-rtt", o.scenarios, func(s scenario.Scenario) bool { return s.Trips }))
	}
	if given["clients"] {
		if o.plan.Clients = *clients; *clients < 1 {
			check(fmt.Errorf("-clients: %d: at least 1 is needed", *clients))
		}
		check(heeded("-clients", o.scenarios, func(s scenario.Scenario) bool { return s.Clients }))
	}
	if *profiles && !slices.ContainsFunc(o.scenarios, func(s scenario.Scenario) bool { return s.Name == "cost" }) {
		check(errors.New("-profile means nothing here: scenario cost does not run"))
	}
	if given["zk"] {
		var err error
		o.zooKeeper, err = parseList("-zk", *servers, parseServer)
		check(err)
	}
	if given["compare"] {
		if o.compare = strings.Split(*compare, ","); len(o.compare) != 2 || fs.NFlag() > 1 {
			errs = append(errs, errors.New("-compare: two files are needed, such as a/results.json,b/results.json, and no other flag"))
		}
	}
	if *out == "" {
		errs = append(errs, errors.New("-out: a directory is needed"))
	}
	if len(errs) > 0 {
		return options{}, errs[0]
	}
	return o, nil
}

// heeded is an error where a scenario that is to run takes no notice of a flag.
func heeded(flag string, todo []scenario.Scenario, heeds func(scenario.Scenario) bool) error {
	var ignoring, heeding []string
	for _, s := range todo {
		if !heeds(s) {
			ignoring = append(ignoring, s.Name)
		}
	}
	if len(ignoring) == 0 {
		return nil
	}
	for _, s := range scenario.All() {
		if heeds(s) {
			heeding = append(heeding, s.Name)
		}
	}
	return fmt.Errorf("%s means nothing to %s: it goes with -scenario %s", flag, strings.Join(ignoring, ", "), strings.Join(heeding, ","))
}

func scenarioNames() string {
	var names []string
	for _, s := range scenario.All() {
		name := fmt.Sprintf("%d %s", s.Number, s.Name)
		if s.Apart {
			name += " (apart)"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// chooseScenarios keeps the order of the numbers.
func chooseScenarios(names string) ([]scenario.Scenario, error) {
	wanted := make(map[string]bool)
	for name := range strings.SplitSeq(names, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	var chosen []scenario.Scenario
	for _, s := range scenario.All() {
		number := strconv.Itoa(s.Number)
		if wanted[number] || wanted[s.Name] {
			chosen = append(chosen, s)
		}
		delete(wanted, number)
		delete(wanted, s.Name)
	}
	for name := range wanted {
		return nil, fmt.Errorf("-scenario: there is no %q among %s", name, scenarioNames())
	}
	return chosen, nil
}

func parseList[T comparable](flag, list string, parse func(string) (T, error)) ([]T, error) {
	var values []T
	for s := range strings.SplitSeq(list, ",") {
		v, err := parse(strings.TrimSpace(s))
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", flag, s, err)
		}
		if slices.Contains(values, v) {
			return nil, fmt.Errorf("%s: %q is there twice", flag, s)
		}
		values = append(values, v)
	}
	return values, nil
}

func parseSize(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 20_000 { // the names of more do not fit into one of ZooKeeper's answers
		return 0, errors.New("a number from 1 to 20000 is needed")
	}
	return n, nil
}

func parseRoundTrip(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > time.Second {
		return 0, errors.New("a duration from 0 to 1s is needed, such as 2ms")
	}
	return d, nil
}

func parseServer(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if n, e := strconv.Atoi(port); err != nil || host == "" || e != nil || n < 1 || n > 65535 {
		return "", errors.New("host:port is needed")
	}
	return s, nil
}
